// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"emqttd/actors/store/pebble"
)

// dataCommand is `emqttd data`: what the store holds, as a file, while no broker
// runs on it.
func (f *flags) dataCommand(code *int, stdout, stderr io.Writer) *cobra.Command {
	tell := func(err error) error { // with its own exit code: the command line was fine
		if err != nil {
			fmt.Fprintln(stderr, "emqttd:", err)
			*code = 1
		}
		return nil
	}
	cmd := &cobra.Command{Use: "data", Short: "export and import what the store holds"}
	salvage := false
	export := &cobra.Command{
		Use:   "export FILE",
		Short: "write everything in node.data_dir to a portable file (- is the standard output)",
		Long: `export writes sessions, queues and retained messages of node.data_dir to a
portable file, which import reads on any machine. No broker may be running on the
directory, and nothing in it is changed. With --salvage what cannot be read is
left out.`,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return tell(f.export(args[0], salvage, stdout, stderr)) },
	}
	export.Flags().BoolVar(&salvage, "salvage", false, "of a damaged store: leave out what cannot be read")
	cmd.AddCommand(export, &cobra.Command{
		Use:   "import FILE",
		Short: "make node.data_dir, which must not hold a store, one with what a file holds (- is the standard input)",
		Args:  cobra.ExactArgs(1),
		RunE:  func(_ *cobra.Command, args []string) error { return tell(f.importFile(args[0], os.Stdin, stderr)) },
	})
	return cmd
}

// export writes the file beside its place and moves it there when it is whole.
func (f *flags) export(path string, salvage bool, stdout, stderr io.Writer) (err error) {
	cfg, _, err := f.load()
	if err != nil {
		return err
	}
	w, done := stdout, func(error) error { return nil }
	if path != "-" {
		file, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
		if err != nil {
			return err
		}
		w = file
		done = func(failed error) error {
			err := errors.Join(failed, file.Sync(), file.Close())
			if err == nil {
				return os.Rename(file.Name(), path)
			}
			return errors.Join(err, os.Remove(file.Name()))
		}
	}
	out, err := pebble.ExportDir(cfg.Node.DataDir, nil, w, salvage)
	if closed := done(err); closed != nil && path != "-" {
		return closed
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(stderr, "exported %d sessions, %d retained messages, %d bytes\n", out.Sessions, out.Retained, out.Bytes)
	if salvage && err == nil {
		_, err = fmt.Fprintf(stderr, "left out: %d ranges that cannot be read, %d keys that make no sense without them\n", out.Damaged, out.Orphans)
	}
	return err
}

func (f *flags) importFile(path string, stdin io.Reader, stderr io.Writer) error {
	cfg, _, err := f.load()
	if err != nil {
		return err
	}
	r := stdin
	if path != "-" {
		file, err := os.Open(path)
		if err != nil {
			return err
		}
		defer file.Close() // read only
		r = file
	}
	in, err := pebble.Import(cfg.Node.DataDir, nil, r)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(stderr, "imported %d sessions, %d retained messages\n", in.Sessions, in.Retained)
	return err
}

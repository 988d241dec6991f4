// SPDX-License-Identifier: Apache-2.0

package pebble

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// format is the number of the layout in doc.go. A change that an older broker
// would misread gets the next number, and Open a step that leads there.
//
// 2: a subscription says what retained messages it is owed, and !o in what order.
// In a directory of format 1 nothing is owed; the step is the number.
const format = 2

const (
	formatFile = "FORMAT"
	formatLine = "emqttd store, format %d\n"
	incomplete = "not complete: " // stands before the line until the database is there
)

// prepare makes the directory dir, durably: a directory whose entry is lost with
// the power takes its files along.
func prepare(f vfs.FS, dir string) error {
	var made []string
	for d := dir; ; d = f.PathDir(d) {
		if _, err := f.Stat(d); err == nil {
			break
		}
		made = append(made, f.PathDir(d))
		if f.PathDir(d) == d {
			break
		}
	}
	if err := f.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("store: make %s: %w", dir, err)
	}
	for _, parent := range made {
		if err := syncDir(f, parent); err != nil {
			return fmt.Errorf("store: make %s: %w", dir, err)
		}
	}
	return nil
}

func syncDir(f vfs.FS, dir string) error {
	d, err := f.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// checkFormat reads the format of dir. fresh says that there is no database yet,
// or one that was not complete when the power went, which holds nothing; older,
// that it has an earlier format.
func checkFormat(f vfs.FS, dir string) (fresh, older bool, err error) {
	path := f.PathJoin(dir, formatFile)
	line, err := readFile(f, path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return true, false, checkEmpty(f, dir)
	case err != nil:
		return false, false, fmt.Errorf("store: read %s: %w", path, err)
	}
	rest, fresh := strings.CutPrefix(line, incomplete)
	var n int
	if _, err := fmt.Sscanf(rest, formatLine, &n); err != nil || rest != fmt.Sprintf(formatLine, n) || n < 1 {
		return false, false, corrupt(path, fmt.Errorf("%q is no format", line))
	}
	if n > format {
		return false, false, fmt.Errorf("store: %s: %w: it has format %d and this broker reads up to %d; "+
			"start the newer broker again, or give this one another directory", dir, ErrNewer, n, format)
	}
	if fresh {
		return true, false, discard(f, dir)
	}
	return false, n < format, nil
}

// checkEmpty refuses a database that has lost its format file.
func checkEmpty(f vfs.FS, dir string) error {
	names, err := f.List(dir)
	if err != nil {
		return fmt.Errorf("store: read %s: %w", dir, err)
	}
	for _, name := range names {
		if strings.HasPrefix(name, "MANIFEST-") || strings.HasSuffix(name, ".sst") || strings.HasSuffix(name, ".log") {
			return corrupt(f.PathJoin(dir, formatFile), fmt.Errorf("it is missing, but %s is there", name))
		}
	}
	return nil
}

// discard removes what a start that did not come to its end has left: no Open
// has returned on it, so nobody was told that anything is in it.
func discard(f vfs.FS, dir string) error {
	names, err := f.List(dir)
	for _, name := range names {
		if err == nil && name != "LOCK" && name != formatFile {
			err = f.RemoveAll(f.PathJoin(dir, name))
		}
	}
	if err != nil {
		return fmt.Errorf("store: clear %s: %w", dir, err)
	}
	return nil
}

// writeFormat writes the format file in one step.
func writeFormat(f vfs.FS, dir, before string) error {
	path := f.PathJoin(dir, formatFile)
	err := func() error {
		file, err := f.Create(path+".new", vfs.WriteCategoryUnspecified)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(file, before+formatLine, format)
		if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
			return err
		}
		if err := f.Rename(path+".new", path); err != nil {
			return err
		}
		return syncDir(f, dir)
	}()
	if err != nil {
		return fmt.Errorf("store: write %s: %w", path, err)
	}
	return nil
}

// maxFormat bounds what is read of the format file.
const maxFormat = 256

func readFile(f vfs.FS, path string) (string, error) {
	file, err := f.Open(path)
	if err != nil {
		return "", err
	}
	b, err := io.ReadAll(io.LimitReader(file, maxFormat))
	return string(b), errors.Join(err, file.Close())
}

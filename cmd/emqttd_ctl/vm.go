// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"
)

// vm is what there is of emqttd's VM: the process.
func (c *ctl) vm() *cobra.Command {
	vm := &cobra.Command{Use: "vm", Short: "The broker's process: memory, goroutines, collections, event loops", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		var n row
		if err := c.call(cmd.Context(), "GET", "/node", nil, &n); err != nil {
			return err
		}
		if c.json {
			return c.printJSON(n)
		}
		for _, name := range []string{"go_version", "os", "arch", "pid", "cpus", "goroutines", "heap_bytes", "memory_bytes", "memory_limit_bytes", "gc_count", "max_files"} {
			c.line("%-20s: %s", name, text(n[name]))
		}
		loops, _ := n["loops"].([]any)
		for _, l := range loops {
			if loop, ok := l.(row); ok {
				c.line("%-20s: %s connections, %s turns", "loop/"+text(loop["index"]), text(loop["connections"]), text(loop["turns"]))
			}
		}
		return nil
	}}
	vm.AddCommand(c.profile())
	return vm
}

// profile writes where the broker's CPU, memory or goroutines are to a file.
func (c *ctl) profile() *cobra.Command {
	var kind, out string
	var seconds int
	cmd := &cobra.Command{Use: "profile", Short: "Take a profile for go tool pprof: CPU, heap or goroutines", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			q := url.Values{"kind": {kind}}
			wait := c.timeout
			if kind == "cpu" {
				q.Set("seconds", strconv.Itoa(seconds))
				wait += time.Duration(seconds) * time.Second // --timeout is for what comes after them
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), wait)
			defer cancel()
			return c.save(ctx, "/profile?"+q.Encode(), out)
		}}
	f := cmd.Flags()
	f.StringVar(&kind, "kind", "cpu", "cpu, heap or goroutine")
	f.IntVar(&seconds, "seconds", 10, "of a profile of CPU")
	f.StringVarP(&out, "out", "o", "emqttd.pprof", "file to write")
	return cmd
}

// save writes the broker's answer to a file, which is left as it was if there is
// no whole one.
func (c *ctl) save(ctx context.Context, path, file string) error {
	b, err := c.ask(ctx, "GET", path, nil)
	if err != nil {
		return err
	}
	if err := os.WriteFile(file, b, 0o600); err != nil {
		return &exit{exitRefused, err}
	}
	return c.done(fmt.Sprintf("%s: %d bytes, for go tool pprof", file, len(b)))
}

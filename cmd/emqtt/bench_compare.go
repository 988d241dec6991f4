// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"emqttd/cmd/emqtt/internal/bench"
)

// compareCommand is `emqtt bench compare`: several brokers, one table.
func compareCommand(w *world) *cobra.Command {
	var rounds int
	var raw string
	cmd := &cobra.Command{
		Use:   "compare FILE",
		Short: "start several brokers, play scenarios against them in turn, print a table",
		Long: `compare reads a YAML file of brokers and scenarios. For every run it starts a
fresh broker on free loopback ports, plays, and stops it again; rounds are
interleaved. It prints a Markdown table of medians, with ratios to the first
broker. It ends only processes that it has started. bench-compare.yaml in
cmd/emqtt is an example that says what can stand in the file.`,
		Example: `  go run ./cmd/emqtt bench compare cmd/emqtt/bench-compare.yaml`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			text, err := os.ReadFile(args[0])
			if err != nil {
				return fmt.Errorf("bench: compare: %w", err)
			}
			c, err := bench.ParseComparison(text)
			if err != nil {
				return err
			}
			if rounds > 0 {
				c.Rounds = rounds
			}
			p := &bench.Comparer{Progress: w.err}
			if p.Self, err = os.Executable(); err != nil {
				return fmt.Errorf("bench: compare: %w", err)
			}
			if p.Dir, err = os.MkdirTemp("", "emqtt-compare-"); err != nil {
				return fmt.Errorf("bench: compare: %w", err)
			}
			defer func() { err = errors.Join(err, os.RemoveAll(p.Dir)) }()
			if raw != "" {
				f, err := os.Create(raw)
				if err != nil {
					return fmt.Errorf("bench: compare: %w", err)
				}
				defer func() { err = errors.Join(err, f.Close()) }()
				p.Raw = f
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			table, err := p.Play(ctx, c)
			if table == nil {
				return err
			}
			return errors.Join(err, table.Markdown(w.out))
		},
	}
	cmd.Flags().IntVar(&rounds, "rounds", 0, "instead of the file's")
	cmd.Flags().StringVar(&raw, "raw", "", "write every run to this file, a JSON object per line")
	return cmd
}

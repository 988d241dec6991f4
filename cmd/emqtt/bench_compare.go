// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"emqttd/cmd/emqtt/internal/bench"
)

// compareCommand is `emqtt bench compare`: several brokers, one table.
func compareCommand(w *world) *cobra.Command {
	p := &playing{w: w, show: (*bench.Table).Markdown}
	cmd := &cobra.Command{
		Use:   "compare FILE",
		Short: "start several brokers, play scenarios against them in turn, print a table",
		Long: `compare reads a YAML file of brokers and scenarios. For every run it starts a
fresh broker on free loopback ports, plays, and stops it again; rounds are
interleaved. It prints a Markdown table of medians, with ratios to the first
broker. It ends only processes that it has started. bench-compare.yaml in
cmd/emqtt is an example that says what can stand in the file.`,
		Example: `  go run ./cmd/emqtt bench compare cmd/emqtt/bench-compare.yaml`,
	}
	return p.command(cmd)
}

// growthCommand is `emqtt bench growth`: what things cost as they grow.
func growthCommand(w *world) *cobra.Command {
	var svg string
	p := &playing{w: w}
	cmd := &cobra.Command{
		Use:   "growth FILE",
		Short: "play scenarios with more and more of something: does the cost stay flat?",
		Long: `growth plays a file like compare's that has axes: a scenario and the values that
a number in it takes, such as 1,000 to a million filters. It prints a table per
axis, CPU per message and bytes with their growth, and draws them with --svg.`,
		Example: `  go run ./cmd/emqtt bench growth cmd/emqtt/bench-growth.yaml --svg growth.svg`,
	}
	p.show = func(t *bench.Table, out io.Writer) error {
		if svg == "" {
			return t.Growth(out)
		}
		f, err := os.Create(svg)
		if err != nil {
			return fmt.Errorf("bench: growth: %w", err)
		}
		return errors.Join(t.Growth(out), t.SVG(f), f.Close())
	}
	cmd.Flags().StringVar(&svg, "svg", "", "draw the curves into this file")
	return p.command(cmd)
}

// playing is what compare and growth have in common.
type playing struct {
	w      *world
	show   func(*bench.Table, io.Writer) error
	rounds int
	raw    string
}

func (p *playing) command(cmd *cobra.Command) *cobra.Command {
	cmd.Args = cobra.ExactArgs(1)
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return p.run(cmd, args[0]) }
	cmd.Flags().IntVar(&p.rounds, "rounds", 0, "instead of the file's")
	cmd.Flags().StringVar(&p.raw, "raw", "", "write every run to this file, a JSON object per line")
	return cmd
}

func (p *playing) run(cmd *cobra.Command, file string) (err error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("bench: %s: %w", cmd.Name(), err)
	}
	c, err := bench.ParseComparison(text)
	if err != nil {
		return err
	}
	if p.rounds > 0 {
		c.Rounds = p.rounds
	}
	player := &bench.Comparer{Progress: p.w.err}
	if player.Self, err = os.Executable(); err != nil {
		return fmt.Errorf("bench: %s: %w", cmd.Name(), err)
	}
	if player.Dir, err = os.MkdirTemp("", "emqtt-"+cmd.Name()+"-"); err != nil {
		return fmt.Errorf("bench: %s: %w", cmd.Name(), err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(player.Dir)) }()
	if p.raw != "" {
		f, err := os.Create(p.raw)
		if err != nil {
			return fmt.Errorf("bench: %s: %w", cmd.Name(), err)
		}
		defer func() { err = errors.Join(err, f.Close()) }()
		player.Raw = f
	}
	ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	table, err := player.Play(ctx, c)
	if table == nil {
		return err
	}
	return errors.Join(err, p.show(table, p.w.out))
}

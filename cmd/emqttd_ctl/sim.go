// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"emqttd/supervisor/broker/sim"
)

// sim runs the deterministic simulation. It asks no broker: a simulation breaks
// actors through the one hook of its process, so that it may not be a process in
// which a broker serves anybody, and this program's is one that serves nobody.
//
// 2026-11: linking the broker makes this program 40 MB instead of 17; it starts
// as fast, in 10 ms. Looking for the program emqttd and starting that instead
// would keep it small, and would fail wherever the two are not installed together.
func (c *ctl) sim() *cobra.Command {
	var o sim.Options
	var seeds uint64
	cmd := &cobra.Command{Use: "sim", Short: "Run a whole broker and its clients on a virtual clock, with crashes, all drawn from a seed",
		Long: "Runs a whole broker and its clients in this process, on a virtual clock: bytes, timers, crashes of actors,\n" +
			"kill -9 and a disk that forgets are drawn from the seed. The same seed and number of events are the same run,\n" +
			"which its hash shows. No broker is needed, and none is touched. Exit code 1: a clause of the contract does not hold.",
		Example: "  emqttd_ctl sim --seed 7 --events 400\n  emqttd_ctl sim --seed 1 --seeds 100",
		Args:    cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
			if o.Events < 0 || seeds == 0 {
				return &exit{exitUsage, fmt.Errorf("--events is 0 or more, --seeds 1 or more")}
			}
			failed := 0
			results := []sim.Result{}
			for n := uint64(0); n < seeds && cmd.Context().Err() == nil; n++ {
				r := sim.Run(sim.Options{Seed: o.Seed + n, Events: o.Events})
				if !r.Pass() {
					failed++
				}
				if c.json {
					results = append(results, r)
				} else if err := r.Write(c.out); err != nil {
					return err
				}
			}
			if c.json {
				if err := c.printJSON(results); err != nil {
					return err
				}
			}
			if failed > 0 {
				return &exit{exitRefused, fmt.Errorf("%d of %d seeds failed", failed, seeds)}
			}
			return cmd.Context().Err()
		}}
	cmd.Flags().Uint64Var(&o.Seed, "seed", 1, "the seed, or the first of several")
	cmd.Flags().IntVar(&o.Events, "events", sim.DefaultEvents, "steps of the workload")
	cmd.Flags().Uint64Var(&seeds, "seeds", 1, "so many seeds, one after another")
	return cmd
}

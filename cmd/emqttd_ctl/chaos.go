// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"emqttd/supervisor/chaos"
)

// chaos breaks the running broker on purpose, where chaos.enabled lets it: the
// faults and the experiments of the page's crash lab.
func (c *ctl) chaos() *cobra.Command {
	return family("chaos", "Break actors of the broker on purpose, where chaos.enabled allows it",
		c.chaosAdd(), c.chaosList(), c.chaosHits(),
		&cobra.Command{Use: "clear [ID]", Short: "Disarm a fault, or all of them", Args: cobra.MaximumNArgs(1), RunE: func(cmd *cobra.Command, args []string) error {
			path := "/chaos/faults"
			if len(args) == 1 {
				path += "/" + url.PathEscape(args[0])
			}
			if err := c.call(cmd.Context(), "DELETE", path, nil, nil); err != nil {
				return err
			}
			return c.done("ok")
		}},
		c.chaosRun(),
		c.plain("runs", "Experiments that were begun, newest first", "/chaos/runs",
			"id", "experiment", "state", "seed", "step", "steps", "published_messages>sent", "received_messages>received", "elapsed_seconds>seconds", "title"),
		c.act("stop ID", "End an experiment that runs", "DELETE", "/chaos/runs/%s", "ok"),
		c.plain("cookbook", "The experiments", "/chaos/experiments", "name", "title", "faults", "stops", "why"))
}

func (c *ctl) chaosAdd() *cobra.Command {
	return &cobra.Command{Use: "add FAULT", Short: "Arm a fault: at=KIND/MESSAGE/PHASE do=ACTION when=WHEN scope=SCOPE hits=N ttl=TIME",
		Example: "  emqttd_ctl chaos add at=session/dispatch/decide do=panic when=every:40 hits=10\n" +
			"  emqttd_ctl chaos add 'at=ws_client/* do=stop when=every:100 scope=client:demo-* ttl=30s'",
		Args: cobra.MinimumNArgs(1), RunE: func(cmd *cobra.Command, args []string) error {
			var out row
			if err := c.call(cmd.Context(), "POST", "/chaos/faults", row{"fault": strings.Join(args, " ")}, &out); err != nil {
				return err
			}
			return c.fields(out)
		}}
}

// chaosState is what is broken at present.
type chaosState struct {
	Enabled bool  `json:"enabled"`
	Faults  []row `json:"faults"`
	Hits    []row `json:"hits"`
}

func (c *ctl) chaosState(ctx context.Context) (s chaosState, err error) {
	err = c.call(ctx, "GET", "/chaos", nil, &s)
	if err == nil && !s.Enabled {
		_, _ = fmt.Fprintln(c.err, "emqttd_ctl: the crash lab is closed: it opens where the configuration says chaos.enabled: true")
	}
	return s, err
}

func (c *ctl) chaosList() *cobra.Command {
	return &cobra.Command{Use: "list", Short: "Faults that are armed", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		s, err := c.chaosState(cmd.Context())
		if err != nil {
			return err
		}
		return c.rows(s.Faults, "id", "fault", "seen", "hits", "blind", "until")
	}}
}

func (c *ctl) chaosHits() *cobra.Command {
	return &cobra.Command{Use: "hits", Short: "The latest hits of faults, newest first", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		s, err := c.chaosState(cmd.Context())
		if err != nil {
			return err
		}
		return c.rows(s.Hits, "at", "fault_id>fault", "do", "actor", "message", "phase", "client_id")
	}}
}

// chaosRun begins an experiment and, unless told otherwise, waits for its verdict,
// which is also the exit code.
func (c *ctl) chaosRun() *cobra.Command {
	var seed uint64
	var leave bool
	cmd := &cobra.Command{Use: "run EXPERIMENT", Short: "Run an experiment of the cookbook and wait for the checker's verdict",
		Example: "  emqttd_ctl chaos run cookbook/07", Args: cobra.ExactArgs(1), ValidArgsFunction: experiments,
		RunE: func(cmd *cobra.Command, args []string) error {
			body := row{"experiment": strings.TrimPrefix(args[0], "cookbook/")}
			if seed != 0 {
				body["seed"] = seed
			}
			var r row
			if err := c.call(cmd.Context(), "POST", "/chaos/runs", body, &r); err != nil {
				return err
			}
			if leave {
				return c.fields(r)
			}
			r, err := c.verdict(cmd.Context(), text(r["id"]))
			if err != nil {
				return err
			}
			return c.report(r)
		}}
	cmd.Flags().Uint64Var(&seed, "seed", 0, "of the workload; 0: the recipe's own")
	cmd.Flags().BoolVar(&leave, "leave", false, "do not wait")
	return cmd
}

// experiments completes the names of the cookbook.
func experiments(_ *cobra.Command, args []string, _ string) (names []string, _ cobra.ShellCompDirective) {
	if len(args) == 0 {
		for i := range chaos.Cookbook {
			e := &chaos.Cookbook[i]
			names = append(names, "cookbook/"+e.Name()+"\t"+e.Title)
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// askAgain is between two looks at an experiment that runs.
const askAgain = 200 * time.Millisecond

// verdict waits for the end of a run. Whoever interrupts it leaves the run to the
// broker, which `chaos stop` ends.
func (c *ctl) verdict(ctx context.Context, id string) (row, error) {
	for {
		var runs []row
		if err := c.call(ctx, "GET", "/chaos/runs", nil, &runs); err != nil {
			return nil, err
		}
		var run row
		for _, r := range runs {
			if text(r["id"]) == id {
				run = r
			}
		}
		switch {
		case run == nil:
			return nil, &exit{exitRefused, fmt.Errorf("run %s is not there any more", id)}
		case run["state"] != "running":
			return run, nil
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(askAgain):
		}
	}
}

// report prints a verdict, in the words of `emqtt torture` and the simulation.
func (c *ctl) report(r row) error {
	state := text(r["state"])
	if c.json {
		if err := c.printJSON(r); err != nil {
			return err
		}
	} else {
		word := map[string]string{"passed": "PASS", "failed": "FAIL", "void": "VOID", "stopped": "STOPPED"}[state]
		c.line("%s  %s %s: seed %s, %s connections, %s messages sent, %s received, %s s", word, text(r["experiment"]), text(r["title"]),
			text(r["seed"]), text(r["connections"]), text(r["published_messages"]), text(r["received_messages"]), text(r["elapsed_seconds"]))
		violations, _ := r["violations"].([]any)
		for _, v := range violations {
			if v, ok := v.(row); ok {
				c.line("  %s: %s", text(v["clause"]), text(v["text"]))
			}
		}
		trace, _ := r["trace"].([]any)
		for _, line := range trace {
			c.line("%s", text(line))
		}
	}
	switch state {
	case "passed":
		return nil
	case "void":
		return &exit{exitRefused, fmt.Errorf("the experiment proved nothing: %s", text(r["error"]))}
	case "failed":
		return &exit{exitRefused, fmt.Errorf("the contract did not hold; again: emqttd_ctl chaos run %s --seed %s", text(r["experiment"]), text(r["seed"]))}
	}
	return &exit{exitRefused, fmt.Errorf("the experiment was stopped")}
}

// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"emqttd/actors/trace"
)

// trace keeps emqttd's words: `trace client ID [FILE]`, `trace client ID off`.
func (c *ctl) trace() *cobra.Command {
	all := family("trace", "The way of one client, topic or address through the broker",
		c.traces(), c.follow(),
		c.act("stop ID", "End a trace; its events can still be read", "POST", "/traces/%s/stop", "ok"),
		c.act("delete ID", "End a trace and forget its events", "DELETE", "/traces/%s", "ok"))
	for by, what := range map[string]string{"client": "CLIENT_ID", "topic": "FILTER", "ip": "ADDRESS"} {
		all.AddCommand(c.traceBy(by, what))
	}
	return all
}

func (c *ctl) traces() *cobra.Command {
	return c.list("list", "Those that run, and that ended lately", "/traces", nil,
		"id", "rule.by>by", "rule.value>value", "running", "started", "until", "events", "file", "error")
}

func (c *ctl) traceBy(by, what string) *cobra.Command {
	var during time.Duration
	var follow bool
	cmd := &cobra.Command{Use: by + " " + what + " [FILE|off]", Short: "Trace one " + by + ", also into a file in the broker's data directory; off ends it",
		Args: cobra.RangeArgs(1, 2), RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 2 && args[1] == "off" {
				return c.traceOff(cmd.Context(), by, args[0])
			}
			body := row{"by": by, "value": args[0], "duration_seconds": int(during / time.Second)}
			if len(args) == 2 {
				body["file"] = args[1]
			}
			var out row
			if err := c.call(cmd.Context(), "POST", "/traces", body, &out); err != nil {
				return err
			}
			if !follow {
				return c.fields(out)
			}
			return c.stream(cmd.Context(), text(out["id"]))
		}}
	cmd.Flags().DurationVar(&during, "for", 0, "how long; 0: as long as the broker allows")
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "print events as they come")
	return cmd
}

// traceOff ends the traces of a rule.
func (c *ctl) traceOff(ctx context.Context, by, value string) error {
	rows, err := c.all(ctx, "/traces", new(listing))
	if err != nil {
		return err
	}
	for _, r := range rows {
		if running, _ := r["running"].(bool); running && at(r, "rule.by") == by && at(r, "rule.value") == value {
			return errors.Join(c.call(ctx, "POST", "/traces/"+text(r["id"])+"/stop", nil, nil), c.done("ok"))
		}
	}
	return &exit{exitRefused, fmt.Errorf("no trace of %s %s is running", by, value)}
}

func (c *ctl) follow() *cobra.Command {
	return &cobra.Command{Use: "follow ID", Short: "Print the events of a trace, those that are kept first", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return c.stream(cmd.Context(), args[0]) }}
}

// stream prints a trace until it ends.
func (c *ctl) stream(ctx context.Context, id string) error {
	return c.listen(ctx, "/traces/"+url.PathEscape(id)+"/stream", func(event string, data []byte) error {
		switch {
		case c.json:
			c.line("%s", data)
		case event == "trace":
			var e trace.Event
			if err := json.Unmarshal(data, &e); err != nil {
				return &exit{exitRefused, err}
			}
			e.At = e.At.Local()
			c.line("%s", printable(e.String()))
		default:
			c.line("%s %s", event, printable(string(data)))
		}
		return nil
	})
}

// listen reads server-sent events until the broker ends them.
func (c *ctl) listen(ctx context.Context, path string, f func(event string, data []byte) error) error {
	res, err := c.send(ctx, "GET", path, nil)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	lines := bufio.NewScanner(res.Body)
	lines.Buffer(nil, 1<<20)
	event := ""
	for lines.Scan() {
		if name, ok := strings.CutPrefix(lines.Text(), "event: "); ok {
			event = name
		}
		if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
			if err := f(event, []byte(data)); err != nil {
				return err
			}
		}
	}
	if err := lines.Err(); err != nil && ctx.Err() == nil {
		return &exit{exitUnreachable, err}
	}
	return nil
}

func (c *ctl) events() *cobra.Command {
	var types string
	cmd := &cobra.Command{Use: "events", Short: "Print what happens, as it happens", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		return c.listen(cmd.Context(), "/events?types="+url.QueryEscape(types), func(event string, data []byte) error {
			if c.json {
				c.line("%s", data)
			} else {
				c.line("%s %s", event, printable(string(data)))
			}
			return nil
		})
	}}
	cmd.Flags().StringVar(&types, "types", "client,alarm", "which: client, alarm, stats, or one such as client.connected")
	return cmd
}

// actors are the operator's hands on the supervision tree.
func (c *ctl) actors() *cobra.Command {
	hand := func(verb, short string) *cobra.Command {
		return &cobra.Command{Use: verb + " NAME", Short: short, Args: cobra.ExactArgs(1), RunE: func(cmd *cobra.Command, args []string) error {
			if err := c.call(cmd.Context(), "POST", "/actors/"+verb, row{"name": args[0]}, nil); err != nil {
				return err
			}
			return c.done("ok")
		}}
	}
	return family("actors", "Kinds of actors; stop or crash one of them",
		c.plain("kinds", "How many there are of each, and how often they crashed", "/actors/kinds", "kind", "module", "alive", "restarts", "crashes", "poisoned", "dropped"),
		hand("stop", "Stop an actor: its supervisor starts the next"), hand("crash", "Let an actor panic"))
}

// tree draws the live supervision tree.
func (c *ctl) tree() *cobra.Command {
	var watch time.Duration
	var most int
	cmd := &cobra.Command{Use: "tree", Short: "The live supervision tree", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		for {
			var root row
			if err := c.call(cmd.Context(), "GET", fmt.Sprintf("/actors?max=%d", most), nil, &root); err != nil {
				return err
			}
			if watch > 0 && !c.json {
				_, _ = io.WriteString(c.out, "\x1b[H\x1b[2J") // home, clear
			}
			if c.json {
				if err := c.printJSON(root); err != nil {
					return err
				}
			} else {
				c.branch(root)
			}
			if watch <= 0 {
				return nil
			}
			select {
			case <-cmd.Context().Done():
				return nil
			case <-time.After(watch):
			}
		}
	}}
	cmd.Flags().DurationVar(&watch, "watch", 0, "draw it again and again, at this interval")
	cmd.Flags().Lookup("watch").NoOptDefVal = "1s"
	cmd.Flags().IntVar(&most, "max", 20, "actors shown of each supervisor of connections or sessions")
	return cmd
}

// branch prints an actor and those below it. The stack is explicit: how deep a
// tree is, is the broker's word.
func (c *ctl) branch(root row) {
	type step struct {
		r     row
		depth int
	}
	for todo := []step{{root, 0}}; len(todo) > 0; {
		s := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		line := strings.Repeat("  ", s.depth) + text(s.r["name"]) + "  " + text(s.r["kind"])
		if strategy := text(s.r["strategy"]); strategy != "-" {
			line += " " + strategy
		}
		line += fmt.Sprintf("  %s mailbox=%s restarts=%s", text(s.r["state"]), text(s.r["mailbox"]), text(s.r["restarts"]))
		if why := text(s.r["last_reason"]); why != "-" {
			line += " last=" + why
		}
		c.line("%s", line)
		if more := text(s.r["more_children"]); more != "-" {
			c.line("%s... %s more", strings.Repeat("  ", s.depth+1), more)
		}
		children, _ := s.r["children"].([]any)
		for i := len(children) - 1; i >= 0; i-- {
			if r, ok := children[i].(row); ok {
				todo = append(todo, step{r, s.depth + 1})
			}
		}
	}
}

// raw reaches what has no noun here.
func (c *ctl) raw() *cobra.Command {
	return &cobra.Command{Use: "api METHOD PATH [BODY]", Short: "Ask the REST interface directly: PATH begins below /api/v1, BODY is JSON",
		Example: "  emqttd_ctl api GET '/clients?limit=1'", Args: cobra.RangeArgs(2, 3), RunE: func(cmd *cobra.Command, args []string) error {
			var body any
			if len(args) == 3 {
				if !json.Valid([]byte(args[2])) {
					return &exit{exitUsage, fmt.Errorf("BODY is not JSON")}
				}
				body = json.RawMessage(args[2])
			}
			var out any
			if err := c.call(cmd.Context(), strings.ToUpper(args[0]), "/"+strings.TrimPrefix(args[1], "/"), body, &out); err != nil {
				return err
			}
			if out == nil {
				return nil
			}
			return c.printJSON(out)
		}}
}

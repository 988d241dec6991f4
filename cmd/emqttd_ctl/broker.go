// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"sort"
	"time"

	"github.com/spf13/cobra"
)

// status is emqttd's, word for word; the exit code says it too.
func (c *ctl) status() *cobra.Command {
	return &cobra.Command{Use: "status", Short: "Is the broker running?", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		var n row
		if err := c.call(cmd.Context(), "GET", "/node", nil, &n); err != nil {
			return err
		}
		ready, _ := n["ready"].(bool)
		switch {
		case c.json:
			if err := c.printJSON(n); err != nil {
				return err
			}
		case ready:
			c.line("Node '%s' is started\nemqttd %s is running", n["name"], n["version"])
		default:
			c.line("Node '%s' is started\nemqttd %s is not ready", n["name"], n["version"])
		}
		if !ready {
			return &exit{exitRefused, fmt.Errorf("the broker does not serve clients at present")}
		}
		return nil
	}}
}

func (c *ctl) broker() *cobra.Command {
	about := &cobra.Command{Use: "broker", Short: "Version, uptime, statistics, metrics", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		var n row
		if err := c.call(cmd.Context(), "GET", "/node", nil, &n); err != nil {
			return err
		}
		if c.json {
			return c.printJSON(n)
		}
		for _, f := range []struct{ name, value string }{
			{"sysdescr", text(n["description"])}, {"version", text(n["version"])}, {"uptime", uptime(n["uptime_seconds"])}, {"datetime", text(n["now"])},
		} {
			c.line("%-10s: %s", f.name, f.value)
		}
		return nil
	}}
	about.AddCommand(
		&cobra.Command{Use: "stats", Short: "What the broker holds, and the highest that was seen", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
			var s row
			if err := c.call(cmd.Context(), "GET", "/stats", nil, &s); err != nil {
				return err
			}
			if c.json {
				return c.printJSON(s)
			}
			for _, name := range sorted(s) {
				if g, ok := s[name].(row); ok && g["max"] != nil {
					c.line("%-20s: %s", name+"/count", text(g["now"]))
					c.line("%-20s: %s", name+"/max", text(g["max"]))
				}
			}
			return nil
		}},
		c.counters("metrics", "Counters since the start"),
	)
	return about
}

// counters prints /metrics as emqttd's `broker metrics`.
func (c *ctl) counters(use, short string) *cobra.Command {
	return &cobra.Command{Use: use, Short: short, Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		var m row
		if err := c.call(cmd.Context(), "GET", "/metrics", nil, &m); err != nil {
			return err
		}
		if c.json {
			return c.printJSON(m)
		}
		for _, name := range sorted(m) {
			switch v := m[name].(type) {
			case row:
				for _, label := range sorted(v) {
					c.line("%-40s: %s", name+"/"+label, text(v[label]))
				}
			case json.Number:
				c.line("%-40s: %s", name, v)
			}
		}
		return nil
	}}
}

func (c *ctl) metrics() *cobra.Command {
	return c.counters("metrics", "Counters since the start, as `broker metrics`")
}

func sorted(r row) []string {
	names := make([]string, 0, len(r))
	for name := range r {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

// uptime is seconds as emqttd writes them.
func uptime(v any) string {
	n, ok := v.(json.Number)
	if !ok {
		return "-"
	}
	seconds, err := n.Int64()
	if err != nil {
		return n.String()
	}
	return (time.Duration(seconds) * time.Second).String()
}

func (c *ctl) listeners() *cobra.Command {
	return c.plain("listeners", "Ports and who comes in by them", "/listeners",
		"name", "address", "running", "connections", "max_connections", "accepted", "turned_away_full", "turned_away_denied")
}

func (c *ctl) config() *cobra.Command {
	cmd := c.plain("config", "Every key in force, and where its value comes from", "/config", "key", "value", "origin")
	cmd.AddCommand(&cobra.Command{Use: "reload", Short: "Read configuration, certificates, passwords and rules anew, as SIGHUP does", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var out row
			if err := c.call(cmd.Context(), "POST", "/config/reload", nil, &out); err != nil {
				return err
			}
			if c.json {
				return c.printJSON(out)
			}
			keys, _ := out["need_restart"].([]any)
			for _, key := range keys {
				c.line("%s needs a restart", text(key))
			}
			return c.done("ok")
		}})
	return cmd
}

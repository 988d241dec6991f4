// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
)

// deadletters are messages that crashed the session they were for at both
// attempts; emqttd lost the session instead.
func (c *ctl) deadletters() *cobra.Command {
	return family("deadletters", "Messages that crashed the session they were for, twice",
		c.deadList(),
		c.dead("replay", "Hand dead letters to their session again; without SERIAL all", "POST", "/replay", "replayed"),
		c.dead("delete", "Drop dead letters; without SERIAL all", "DELETE", "", "deleted"))
}

func (c *ctl) deadList() *cobra.Command {
	l := new(listing)
	cmd := &cobra.Command{Use: "list [CLIENT_ID]", Short: "Sessions that have dead letters; or those of one", Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				rows, err := c.all(cmd.Context(), "/dead_letters", l)
				if err != nil {
					return err
				}
				return c.rows(rows, "client_id", "letters", "bytes", "newest_at")
			}
			var rows []row
			if err := c.call(cmd.Context(), "GET", "/dead_letters/"+url.PathEscape(args[0]), nil, &rows); err != nil {
				return err
			}
			return c.rows(rows, "serial", "topic", "qos", "retain", "from", "published_at", "payload_text>payload", "reason", "crashed_at")
		}}
	cmd.Flags().StringVar(&l.search, "search", "", "what contains this text")
	cmd.Flags().IntVar(&l.limit, "limit", 0, "at most so many; 0: all")
	return cmd
}

// dead makes a command that does something to letters of a session.
func (c *ctl) dead(verb, short, method, below, done string) *cobra.Command {
	return &cobra.Command{Use: verb + " CLIENT_ID [SERIAL...]", Short: short, Args: cobra.MinimumNArgs(1), RunE: func(cmd *cobra.Command, args []string) error {
		path := "/dead_letters/" + url.PathEscape(args[0]) + below
		for _, s := range args[1:] {
			if _, err := strconv.ParseUint(s, 10, 64); err != nil {
				return &exit{exitUsage, fmt.Errorf("%q: a serial is a number, as `deadletters list %s` shows it", s, args[0])}
			}
		}
		if len(args) > 1 {
			path += "?serials=" + url.QueryEscape(strings.Join(args[1:], ","))
		}
		var rows []row
		if err := c.call(cmd.Context(), method, path, nil, &rows); err != nil {
			return err
		}
		if c.json {
			return c.printJSON(rows)
		}
		return c.done(fmt.Sprintf("%d %s", len(rows), done))
	}}
}

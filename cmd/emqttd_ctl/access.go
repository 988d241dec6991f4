// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// users are emqttd's admins: those of the dashboard, not MQTT's.
func (c *ctl) users() *cobra.Command {
	var role string
	add := &cobra.Command{Use: "add NAME [PASSWORD]", Short: "Add a user; the password is better given on the input", Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			password, err := c.secret(args)
			if err != nil {
				return err
			}
			if err := c.call(cmd.Context(), "POST", "/users", row{"name": args[0], "password": password, "role": role}, nil); err != nil {
				return err
			}
			return c.done("ok")
		}}
	add.Flags().StringVar(&role, "role", "administrator", "administrator or viewer")
	passwd := &cobra.Command{Use: "passwd NAME [PASSWORD]", Short: "Set a user's password", Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			password, err := c.secret(args)
			if err != nil {
				return err
			}
			if err := c.call(cmd.Context(), "PATCH", "/users/"+url.PathEscape(args[0]), row{"password": password}, nil); err != nil {
				return err
			}
			return c.done("ok")
		}}
	all := family("users", "Users of the dashboard",
		c.plain("list", "All of them", "/users", "name", "role", "initial", "configured", "created_at"), add, passwd,
		c.act("del NAME", "Remove a user", "DELETE", "/users/%s", "ok"))
	all.Aliases = []string{"admins"}
	return all
}

// secret is the second argument, or a line of the input: what stands on a command
// line can be seen by every user of the machine.
func (c *ctl) secret(args []string) (string, error) {
	if len(args) > 1 {
		return args[1], nil
	}
	_, _ = fmt.Fprint(c.err, "password: ")
	s := bufio.NewScanner(c.in)
	if !s.Scan() {
		return "", &exit{exitUsage, fmt.Errorf("a password is needed, as an argument or on the input")}
	}
	return strings.TrimSuffix(s.Text(), "\r"), nil
}

func (c *ctl) keys() *cobra.Command {
	var role string
	var during time.Duration
	add := &cobra.Command{Use: "add NAME", Short: "Make a key; it is shown this once", Args: cobra.ExactArgs(1), RunE: func(cmd *cobra.Command, args []string) error {
		body := row{"name": args[0], "role": role}
		if during > 0 {
			body["expires_at"] = c.now().Add(during).UTC()
		}
		var out row
		if err := c.call(cmd.Context(), "POST", "/api_keys", body, &out); err != nil {
			return err
		}
		return c.fields(out)
	}}
	add.Flags().StringVar(&role, "role", "viewer", "administrator or viewer")
	add.Flags().DurationVar(&during, "for", 0, "how long it is good; 0: until it is removed")
	return family("keys", "API keys, for programs",
		c.plain("list", "All of them, without their secrets", "/api_keys", "id", "name", "role", "created_at", "created_by", "expires_at"), add,
		c.act("del ID", "Remove a key", "DELETE", "/api_keys/%s", "ok"))
}

func (c *ctl) audit() *cobra.Command {
	return c.list("audit", "Who changed what", "/audit", nil, "at", "user", "peer", "action", "path", "status", "error")
}

// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"net/url"
	"strconv"
	"time"

	"github.com/spf13/cobra"
)

func (c *ctl) clients() *cobra.Command {
	return family("clients", "Connected clients",
		c.list("list", "All of them", "/clients", []string{"username", "listener", "transport", "protocol", "address"},
			"client_id", "username", "peer", "listener", "protocol>proto", "clean_start", "keep_alive_seconds>keep_alive", "connected_at"),
		c.show("show CLIENT_ID", "All there is about one", "/clients/%s"),
		c.act("kick CLIENT_ID", "End its connection", "DELETE", "/clients/%s", "ok"))
}

func (c *ctl) sessions() *cobra.Command {
	list := c.list("list", "All of them: `list`, `list persistent`, `list transient`", "/sessions", []string{"connected"},
		"client_id", "connected", "durable", "subscriptions", "inflight", "max_inflight", "queued", "queued_bytes", "awaiting_rel", "created_at")
	every := list.RunE
	list.Args, list.ValidArgs = cobra.MatchAll(cobra.MaximumNArgs(1), cobra.OnlyValidArgs), []string{"persistent", "transient"}
	list.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return every(cmd, nil)
		}
		return c.sessionsOf(cmd, args[0] == "persistent")
	}
	return family("sessions", "What is kept for client ids", list,
		c.show("show CLIENT_ID", "One session", "/sessions/%s"),
		c.act("delete CLIENT_ID", "End a session: subscriptions and queue are gone", "DELETE", "/sessions/%s", "ok"))
}

// sessionsOf lists emqttd's two kinds: those that outlive their connection, and
// those that do not.
func (c *ctl) sessionsOf(cmd *cobra.Command, durable bool) error {
	rows, err := c.all(cmd.Context(), "/sessions", new(listing))
	if err != nil {
		return err
	}
	some := []row{}
	for _, r := range rows {
		if d, _ := r["durable"].(bool); d == durable {
			some = append(some, r)
		}
	}
	return c.rows(some, "client_id", "connected", "subscriptions", "inflight", "queued", "queued_bytes", "awaiting_rel", "created_at")
}

func (c *ctl) routes() *cobra.Command {
	return family("routes", "Topic filters that are subscribed to",
		c.list("list", "All of them", "/routes", nil, "filter", "node", "subscribers", "groups"),
		c.matching("show TOPIC", "Those that match a topic", "/routes", "topic", "filter", "node", "subscribers", "groups"))
}

func (c *ctl) topics() *cobra.Command {
	return family("topics", "Topics that are subscribed to or have a retained message",
		c.list("list", "All of them", "/topics", nil, "topic", "subscribers", "retained"),
		c.matching("show TOPIC", "One of them", "/topics", "topic", "topic", "subscribers", "retained"))
}

// matching makes a command that lists what a filter of the list lets through.
func (c *ctl) matching(use, short, path, filter string, columns ...string) *cobra.Command {
	return &cobra.Command{Use: use, Short: short, Args: cobra.ExactArgs(1), RunE: func(cmd *cobra.Command, args []string) error {
		rows, err := c.all(cmd.Context(), path, &listing{filters: map[string]*string{filter: &args[0]}})
		if err != nil {
			return err
		}
		return c.rows(rows, columns...)
	}}
}

func (c *ctl) subscriptions() *cobra.Command {
	columns := []string{"client_id", "filter", "qos", "share_group>group", "no_local", "durable"}
	return family("subscriptions", "Who has subscribed to what",
		c.list("list", "All of them", "/subscriptions", []string{"filter", "topic", "share_group", "qos"}, columns...),
		c.matching("show CLIENT_ID", "Those of one client", "/subscriptions", "client_id", columns...),
		&cobra.Command{Use: "add CLIENT_ID FILTER QOS", Short: "Subscribe a client", Args: cobra.ExactArgs(3), RunE: func(cmd *cobra.Command, args []string) error {
			qos, err := qosOf(args[2])
			if err != nil {
				return err
			}
			body := row{"filter": args[1], "qos": qos}
			if err := c.call(cmd.Context(), "POST", "/clients/"+url.PathEscape(args[0])+"/subscriptions", body, nil); err != nil {
				return err
			}
			return c.done("ok")
		}},
		&cobra.Command{Use: "del CLIENT_ID FILTER", Short: "Unsubscribe a client", Args: cobra.ExactArgs(2), RunE: func(cmd *cobra.Command, args []string) error {
			path := "/clients/" + url.PathEscape(args[0]) + "/subscriptions?filter=" + url.QueryEscape(args[1])
			if err := c.call(cmd.Context(), "DELETE", path, nil, nil); err != nil {
				return err
			}
			return c.done("ok")
		}})
}

func qosOf(s string) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 || n > 2 {
		return 0, &exit{exitUsage, fmt.Errorf("%q: a QoS is 0, 1 or 2", s)}
	}
	return n, nil
}

func (c *ctl) publish() *cobra.Command {
	var qos int
	var retain bool
	cmd := &cobra.Command{Use: "publish TOPIC [PAYLOAD]", Short: "Publish a message; without a payload it is read from the input",
		Args: cobra.RangeArgs(1, 2), RunE: func(cmd *cobra.Command, args []string) error {
			body := row{"topic": args[0], "qos": qos, "retain": retain}
			if len(args) == 2 {
				body["payload"] = args[1]
			} else {
				b, err := io.ReadAll(c.in)
				if err != nil {
					return &exit{exitUsage, err}
				}
				body["payload_base64"] = b
			}
			var out row
			if err := c.call(cmd.Context(), "POST", "/publish", body, &out); err != nil {
				return err
			}
			if c.json {
				return c.printJSON(out)
			}
			return c.done(text(out["reason"]))
		}}
	cmd.Flags().IntVar(&qos, "qos", 0, "0, 1 or 2")
	cmd.Flags().BoolVar(&retain, "retain", false, "keep it for later subscribers")
	return cmd
}

func (c *ctl) retained() *cobra.Command {
	one := func(use, short, method string, show func(row) error) *cobra.Command {
		return &cobra.Command{Use: use, Short: short, Args: cobra.ExactArgs(1), RunE: func(cmd *cobra.Command, args []string) error {
			var out row
			if err := c.call(cmd.Context(), method, "/retained/message?topic="+url.QueryEscape(args[0]), nil, &out); err != nil {
				return err
			}
			return show(out)
		}}
	}
	return family("retained", "Retained messages",
		c.list("list", "All of them", "/retained", []string{"filter", "from", "qos"}, "topic", "qos", "payload_bytes>bytes", "from", "published_at", "expires_at"),
		one("show TOPIC", "One, with its payload", "GET", c.fields),
		one("delete TOPIC", "Take one away", "DELETE", func(row) error { return c.done("ok") }),
		&cobra.Command{Use: "purge FILTER", Short: "Take all away that match a filter", Args: cobra.ExactArgs(1), RunE: func(cmd *cobra.Command, args []string) error {
			var out row
			if err := c.call(cmd.Context(), "DELETE", "/retained?filter="+url.QueryEscape(args[0]), nil, &out); err != nil {
				return err
			}
			if c.json {
				return c.printJSON(out)
			}
			return c.done(text(out["deleted"]) + " deleted")
		}})
}

func (c *ctl) bans() *cobra.Command {
	var reason string
	var during time.Duration
	add := &cobra.Command{Use: "add client|user|address VALUE", Short: "Keep somebody out", Args: cobra.ExactArgs(2), RunE: func(cmd *cobra.Command, args []string) error {
		body := row{"kind": args[0], "value": args[1], "reason": reason}
		if during > 0 {
			body["until"] = c.now().Add(during).UTC()
		}
		var out row
		if err := c.call(cmd.Context(), "POST", "/bans", body, &out); err != nil {
			return err
		}
		return c.fields(out)
	}}
	add.Flags().StringVar(&reason, "reason", "", "for those who wonder later")
	add.Flags().DurationVar(&during, "for", 0, "how long; 0: until it is removed")
	return family("bans", "Who is kept out",
		c.list("list", "All of them", "/bans", nil, "kind", "value", "until", "at", "by", "reason"), add,
		c.act("del client|user|address VALUE", "Let somebody in again", "DELETE", "/bans/%s/%s", "ok"))
}

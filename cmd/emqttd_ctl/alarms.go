// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net/url"

	"github.com/spf13/cobra"
)

func (c *ctl) alarms() *cobra.Command {
	return family("alarms", "What the broker noticed to be wrong",
		c.list("list", "At present", "/alarms", nil, "id", "severity", "raised_at", "title", "summary"),
		c.list("history", "What was cleared, the latest first", "/alarms/history", nil, "id", "severity", "raised_at", "cleared_at", "title", "summary"),
		c.act("clear ID", "Clear one; it comes again when its cause is seen again", "DELETE", "/alarms/%s", "ok"),
		c.act("forget", "Empty the history", "DELETE", "/alarms/history", "ok"))
}

func (c *ctl) slow() *cobra.Command {
	return family("slow", "Subscribers that get messages late",
		c.list("list", "The slowest first", "/slow_subscribers", nil, "client_id", "latency_seconds", "topic", "at"),
		c.act("reset", "Forget them", "DELETE", "/slow_subscribers", "ok"))
}

func (c *ctl) topicMetrics() *cobra.Command {
	return family("topic-metrics", "Messages of single topics",
		c.list("list", "Topics that are counted", "/topic_metrics", nil, "topic", "since",
			"received_messages>received_by_qos", "sent_messages>sent_by_qos", "dropped_messages>dropped"),
		&cobra.Command{Use: "add TOPIC", Short: "Count the messages of a topic", Args: cobra.ExactArgs(1), RunE: func(cmd *cobra.Command, args []string) error {
			if err := c.call(cmd.Context(), "POST", "/topic_metrics", row{"topic": args[0]}, nil); err != nil {
				return err
			}
			return c.done("ok")
		}},
		&cobra.Command{Use: "del TOPIC", Short: "Count them no more", Args: cobra.ExactArgs(1), RunE: func(cmd *cobra.Command, args []string) error {
			if err := c.call(cmd.Context(), "DELETE", "/topic_metrics?topic="+url.QueryEscape(args[0]), nil, nil); err != nil {
				return err
			}
			return c.done("ok")
		}})
}

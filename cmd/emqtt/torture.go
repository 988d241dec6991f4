// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"

	"github.com/spf13/cobra"

	"emqttd/cmd/emqtt/internal/torture"
)

// tortureOptions are the flags of `emqtt torture`.
type tortureOptions struct {
	torture.Options
	url         string
	anywhere    bool
	json, print bool
}

// tortureCommand is `emqtt torture`: kill -9 in the middle of the work.
func tortureCommand(w *world) *cobra.Command {
	o := &tortureOptions{}
	cmd := &cobra.Command{
		Use:   "torture --start COMMAND --url mqtt://127.0.0.1:1883",
		Short: "kill a broker in the middle of its work and count what it has lost",
		Long: `torture starts a broker, loads it with QoS 1, QoS 2 and retained messages for
subscribers that are there or away, kills its process group with SIGKILL at
random moments, starts it again, and counts what it had acknowledged and does
not have any more, what came twice and what came out of order. The exit code is 1
when anything acknowledged is lost, QoS 2 came twice, or order was broken.

COMMAND must stay in the foreground and keep its data from start to start. A kill
does not take from the operating system what it has been given: a broker that
never syncs can pass here and lose everything with the power.`,
		Example: `  emqtt torture --start 'emqttd --set node.data_dir=/tmp/t' --url mqtt://127.0.0.1:1883
  emqtt torture --start 'mosquitto -c /tmp/mosquitto.conf' --url mqtt://127.0.0.1:1884 --rounds 100`,
		Args:         cobra.NoArgs,
		SilenceUsage: true,
		RunE:         func(cmd *cobra.Command, _ []string) error { return o.run(cmd, w) },
	}
	f := cmd.Flags()
	f.StringVar(&o.Start, "start", "", "command that starts the broker in the foreground (required)")
	f.StringVar(&o.url, "url", "mqtt://127.0.0.1:1883", "its listener: mqtt://[user:password@]host:port")
	f.IntVar(&o.Rounds, "rounds", 10, "how often to kill it")
	f.IntVar(&o.Messages, "messages", 800, "messages of a round; a subscriber that is away has to be given a queue for so many")
	f.IntVar(&o.Publishers, "publishers", 4, "clients that publish")
	f.IntVar(&o.Away, "away", 2, "subscribers that are away during the load, beside one that is there")
	f.IntVar(&o.Payload, "payload", 64, "bytes of a message, at least 8")
	f.Uint64Var(&o.Seed, "seed", 0, "decides when to kill; 0: any, and the report shows it")
	f.DurationVar(&o.Patience, "patience", 0, "how long a start and the end of a round may take (default 30s)")
	f.BoolVar(&o.anywhere, "anywhere", false, "allow an address that is not on loopback")
	f.BoolVar(&o.json, "json", false, "print the report as a JSON object")
	f.BoolVar(&o.print, "output", false, "show what the broker prints")
	_ = cmd.MarkFlagRequired("start") // it fails for a flag that is not there
	return cmd
}

func (o *tortureOptions) run(cmd *cobra.Command, w *world) error {
	if err := o.target(); err != nil {
		return err
	}
	if o.print {
		o.Log = w.err
	}
	if !o.json {
		o.Progress = func(line string) { _, _ = fmt.Fprintln(w.err, line) }
	}
	r, err := torture.Run(cmd.Context(), o.Options)
	if err != nil {
		return fmt.Errorf("torture: %w", err)
	}
	if o.json {
		err = json.NewEncoder(w.out).Encode(r)
	} else {
		err = r.Write(w.out)
	}
	if err == nil && !r.Pass() {
		return exitCode(1)
	}
	return err
}

// target takes the address from the URL, and refuses what is not on this
// machine: killing and starting is done here only.
func (o *tortureOptions) target() error {
	u, err := url.Parse(o.url)
	if err != nil {
		return err
	}
	if u.Scheme != "mqtt" || u.Port() == "" {
		return errors.New("torture: --url has to be mqtt://host:port")
	}
	o.Address = u.Host
	if u.User != nil {
		o.Username = u.User.Username()
		o.Password, _ = u.User.Password()
	}
	ip := net.ParseIP(u.Hostname())
	if !o.anywhere && u.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return fmt.Errorf("torture: %s is not on loopback: say --anywhere if that is meant", u.Hostname())
	}
	return nil
}

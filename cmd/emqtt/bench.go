// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"emqttd/cmd/emqtt/internal/bench"
	"emqttd/protocol/packet"
)

// benchOptions are the flags of `emqtt bench`.
type benchOptions struct {
	bench.Config
	version  string
	cafile   string
	insecure bool
	json     bool
	quiet    bool
}

// benchCommand is `emqtt bench`: a load generator that verifies what it gets.
func benchCommand(w *world) *cobra.Command {
	o := &benchOptions{}
	cmd := &cobra.Command{
		Use:   "bench SCENARIO",
		Short: "load a broker, verify every delivery, and say what it cost",
		Long: `bench plays a scenario against a broker and verifies every delivery: nothing
lost, doubled or reordered. With --pid it says how much CPU and memory the
broker's process took. The scenarios:

` + bench.Help() + `
The exit code is 1 when a delivery is wrong. It refuses to load another machine
unless told that it may, and ends by itself.`,
		Example: `  emqtt bench p2p --url mqtt://127.0.0.1:1883 --pid $(pidof emqttd)
  emqtt bench fanout --subscribers 1000 --qos 1 --duration 10s --json
  emqtt bench latency --rate 5000 --url ws://127.0.0.1:8083/mqtt`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Scenario = args[0]
			return o.run(cmd, w.out, w.err)
		},
	}
	o.flags(cmd)
	cmd.AddCommand(relayCommand(w), journalCommand(w), compareCommand(w), growthCommand(w), benchConnCommand(w), benchPubCommand(w), benchSubCommand(w))
	return cmd
}

func (o *benchOptions) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&o.URL, "url", "mqtt://127.0.0.1:1883", "the broker: mqtt, mqtts, ws or wss://[user:password@]host[:port][/path]")
	f.StringVar(&o.version, "version", "3.1.1", "MQTT version: 3.1.1 or 5")
	f.IntVar(&o.QoS, "qos", -1, "0, 1 or 2; the default is the scenario's")
	f.IntVar(&o.Publishers, "publishers", 0, "connections that publish")
	f.IntVar(&o.Subscribers, "subscribers", 0, "connections that subscribe")
	f.IntVar(&o.Size, "size", 64, "bytes of payload, at least 24")
	f.IntVar(&o.Window, "window", 0, "messages of a publisher that are on their way, at most")
	f.IntVar(&o.Filters, "filters", 0, "route: filters in the broker")
	f.IntVar(&o.Connections, "connections", 0, "idle: connections; churn: those at one time")
	f.IntVar(&o.Deaf, "deaf", 0, "p2p, fanout, fanin, latency: more connections, which subscribe to everything and never read")
	f.Int64Var(&o.Messages, "messages", 0, "stop after that many messages and not after a time")
	f.Float64Var(&o.Rate, "rate", 0, "latency: messages per second, of all publishers")
	f.DurationVar(&o.Warmup, "warmup", time.Second, "how long before it is measured")
	f.DurationVar(&o.Duration, "duration", 5*time.Second, "how long it is measured")
	f.DurationVar(&o.Limit, "limit", 0, "how long everything together may take; default: two minutes more than the two above")
	f.IntVar(&o.PID, "pid", 0, "process of the broker, if it runs here: report its CPU and memory")
	f.BoolVar(&o.Mine, "i-own-this-target", false, "the broker may be on another machine")
	f.StringVar(&o.cafile, "cafile", "", "PEM file of the certificates to trust; default: those of the system")
	f.BoolVar(&o.insecure, "insecure", false, "do not verify the certificate")
	f.BoolVar(&o.json, "json", false, "print the result as one JSON object")
	f.BoolVar(&o.quiet, "quiet", false, "no progress on stderr")
}

// errUnclean is the error of a run that came to its end with a broker that is
// wrong; the result says how.
var errUnclean = errors.New("bench: the broker did not deliver everything once and in order")

func (o *benchOptions) run(cmd *cobra.Command, out, progress io.Writer) error {
	var err error
	if o.Version, err = benchVersion(o.version); err != nil {
		return err
	}
	if o.TLS, err = (&checkOptions{cafile: o.cafile, insecure: o.insecure}).trust(); err != nil {
		return err
	}
	if !o.quiet {
		o.Progress = progress
	}
	ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	result, err := bench.Run(ctx, o.Config)
	if result != nil {
		show := result.Text
		if o.json {
			show = result.JSON
		}
		err = errors.Join(err, show(out))
	}
	if err == nil && !result.OK {
		err = errUnclean
	}
	return err
}

func benchVersion(name string) (packet.Version, error) {
	switch name {
	case "3.1":
		return packet.V31, nil
	case "3.1.1":
		return packet.V311, nil
	case "5", "5.0":
		return packet.V5, nil
	}
	return 0, fmt.Errorf("bench: version %q is none of 3.1, 3.1.1, 5", name)
}

// relayCommand is the floor that brokers are compared with.
func relayCommand(w *world) *cobra.Command {
	var listen string
	var limit time.Duration
	cmd := &cobra.Command{
		Use:   "relay",
		Short: "forward the same bytes with no MQTT work: the floor under every broker",
		Long: `relay stands in for a broker in p2p, fanout, fanin and latency with QoS 0: it
answers CONNECT and SUBSCRIBE and then copies what publishers send to the
subscribers of their topic, one write per subscriber and turn.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			return bench.Relay(ctx, listen, limit, func(at netip.AddrPort) {
				_, _ = fmt.Fprintf(w.out, "mqtt://%s\n", at)
			})
		},
	}
	cmd.Flags().StringVar(&listen, "listen", "127.0.0.1:1883", "loopback address; port 0: a free one, which is printed")
	cmd.Flags().DurationVar(&limit, "limit", time.Hour, "end after this time")
	return cmd
}

// journalCommand is the floor that brokers with a durable store are compared
// with.
func journalCommand(w *world) *cobra.Command {
	var listen, dir string
	var limit time.Duration
	cmd := &cobra.Command{
		Use:   "journal",
		Short: "append publishes to a file, sync and acknowledge: the floor under what is durable",
		Long: `journal stands in for a broker in durable: a plain loop that appends the PUBLISH
packets of a turn to a file, syncs it once (fdatasync), and acknowledges them.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			return bench.Journal(ctx, dir, listen, limit, func(at netip.AddrPort) {
				_, _ = fmt.Fprintf(w.out, "mqtt://%s\n", at)
			})
		},
	}
	cmd.Flags().StringVar(&listen, "listen", "127.0.0.1:1883", "loopback address; port 0: a free one, which is printed")
	cmd.Flags().StringVar(&dir, "dir", ".", "folder for the file, which is removed at the end")
	cmd.Flags().DurationVar(&limit, "limit", time.Hour, "end after this time")
	return cmd
}

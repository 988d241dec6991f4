// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"net"
	"net/url"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"emqttd/cmd/emqtt/internal/bench"
	"emqttd/protocol/packet"
)

// classicOptions are emqtt_bench's flags.
type classicOptions struct {
	bench.Classic
	host               string
	port, version      int
	every, interval    int // milliseconds
	keepalive          int // seconds
	username, password string
	ssl, ws, clean     bool
	cafile             string
	insecure           bool
}

func benchConnCommand(w *world) *cobra.Command {
	return classicCommand(w, "conn", "connect many clients and keep them")
}

func benchPubCommand(w *world) *cobra.Command {
	return classicCommand(w, "pub", "publish from many clients")
}

func benchSubCommand(w *world) *cobra.Command {
	return classicCommand(w, "sub", "subscribe with many clients")
}

func classicCommand(w *world, kind, short string) *cobra.Command {
	o := &classicOptions{}
	o.Kind = kind
	cmd := &cobra.Command{
		Use:   kind,
		Short: short + ", with emqtt_bench's flags",
		Long: short + `. The flags are emqtt_bench's. In a topic %i is the number of the client, %c
its identifier and %u the user name. A line is printed per second. Unlike
emqtt_bench it ends after --duration, and loads this machine only unless told
that it may load another.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			if err := o.settle(); err != nil {
				return err
			}
			o.Out = w.out
			return bench.RunClassic(ctx, o.Classic)
		},
	}
	o.flags(cmd, kind)
	return cmd
}

func (o *classicOptions) flags(cmd *cobra.Command, kind string) {
	f := cmd.Flags()
	f.Bool("help", false, "show the flags") // without -h, which is the host
	f.StringVarP(&o.host, "host", "h", "127.0.0.1", "broker")
	f.IntVarP(&o.port, "port", "p", 0, "its port; default: 1883, 8883 with --ssl, 8083 with --ws")
	f.IntVarP(&o.version, "version", "V", 4, "protocol version: 3, 4 (3.1.1) or 5")
	f.IntVarP(&o.Count, "count", "c", 200, "clients")
	f.IntVarP(&o.Start, "startnumber", "n", 0, "number of the first client")
	f.IntVarP(&o.every, "interval", "i", 10, "milliseconds between two connects")
	f.StringVarP(&o.username, "username", "u", "", "user name")
	f.StringVarP(&o.password, "password", "P", "", "password")
	f.IntVarP(&o.keepalive, "keepalive", "k", 300, "keep alive in seconds")
	f.BoolVarP(&o.clean, "clean", "C", true, "clean session")
	f.BoolVarP(&o.ssl, "ssl", "S", false, "TLS")
	f.BoolVar(&o.ws, "ws", false, "WebSocket")
	f.StringVar(&o.cafile, "cafile", "", "PEM file of the certificates to trust; default: those of the system")
	f.BoolVar(&o.insecure, "insecure", false, "do not verify the certificate")
	f.DurationVar(&o.Duration, "duration", time.Minute, "end after this time")
	f.BoolVar(&o.Mine, "i-own-this-target", false, "the broker may be on another machine")
	o.Window = 1
	if kind == "conn" {
		return
	}
	f.StringVarP(&o.Topic, "topic", "t", "", "topic or filter")
	f.IntVarP(&o.QoS, "qos", "q", 0, "QoS")
	f.Int64VarP(&o.Messages, "limit", "L", 0, "end after this many messages")
	if kind == "pub" {
		f.IntVarP(&o.interval, "interval_of_msg", "I", 1000, "milliseconds between two messages of a client; 0: no pause")
		f.IntVarP(&o.Size, "size", "s", 256, "bytes of payload, at least 24")
		f.BoolVarP(&o.Retain, "retain", "r", false, "retained messages")
		f.IntVarP(&o.Window, "inflight", "F", 1, "unacknowledged messages of a client")
	}
}

// settle translates the flags.
func (o *classicOptions) settle() error {
	versions := map[int]packet.Version{3: packet.V31, 4: packet.V311, 5: packet.V5}
	ok := false
	if o.Version, ok = versions[o.version]; !ok {
		return fmt.Errorf("bench: --version %d is none of 3, 4, 5", o.version)
	}
	o.Every, o.Interval = time.Duration(o.every)*time.Millisecond, time.Duration(o.interval)*time.Millisecond
	o.Keep, o.Persist = time.Duration(o.keepalive)*time.Second, !o.clean
	u := url.URL{Scheme: "mqtt"}
	port := 1883
	switch {
	case o.ws && o.ssl:
		u.Scheme, port = "wss", 8084
	case o.ws:
		u.Scheme, port = "ws", 8083
	case o.ssl:
		u.Scheme, port = "mqtts", 8883
	}
	if o.port != 0 {
		port = o.port
	}
	u.Host = net.JoinHostPort(o.host, strconv.Itoa(port))
	if o.username != "" {
		u.User = url.User(o.username)
		if o.password != "" {
			u.User = url.UserPassword(o.username, o.password)
		}
	}
	o.URL = u.String()
	var err error
	o.TLS, err = (&checkOptions{cafile: o.cafile, insecure: o.insecure}).trust()
	return err
}

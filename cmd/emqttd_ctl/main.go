// SPDX-License-Identifier: Apache-2.0

// Command emqttd_ctl administers a running broker over its REST interface. It
// keeps emqttd's commands and nouns (status, broker, clients, sessions, routes,
// topics, subscriptions, listeners, vm, trace, ...), which were functions of the
// broker's own Erlang node; there is none here, so cluster, mnesia, plugins and
// bridges are left out.
//
// On the broker's own machine nothing has to be set up: who can read the file
// ctl.token in the broker's data directory may do everything, and that file is
// found in the usual places. It is sent to this machine only. From elsewhere:
//
//	emqttd_ctl --url https://broker:18083 --key KEY clients list
//	EMQTTD_CTL_URL, EMQTTD_CTL_KEY, EMQTTD_CTL_USER, EMQTTD_CTL_PASSWORD, EMQTTD_CTL_TOKEN_FILE
//
// Exit codes: 0 done; 1 the broker refused, there is no such thing, or the contract
// did not hold (chaos run, sim); 2 wrong usage; 3 the broker cannot be reached; 4 not allowed. `emqttd_ctl completion`
// prints completions for bash, zsh, fish and PowerShell.
//
// Reading order: client.go (how the broker is asked), table.go (how answers are
// shown), then one file for each family of nouns.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"

	"github.com/spf13/cobra"
)

// world is what the program touches beside the network; tests bring their own.
type world struct {
	in       io.Reader
	out, err io.Writer
	getenv   func(string) string
	now      func() time.Time
}

// ctl is one call of the program.
type ctl struct {
	*world
	options
}

// options are the flags that every command has.
type options struct {
	url, key, user, password, tokenFile, caFile string
	insecure, json                              bool
	timeout                                     time.Duration
}

// Exit codes.
const (
	exitRefused     = 1
	exitUsage       = 2
	exitUnreachable = 3
	exitNotAllowed  = 4
)

// exit is an error with an exit code.
type exit struct {
	code int
	err  error
}

// Error implements error.
func (e *exit) Error() string { return e.err.Error() }

// Unwrap is the error without the code.
func (e *exit) Unwrap() error { return e.err }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	code := run(ctx, &world{in: os.Stdin, out: os.Stdout, err: os.Stderr, getenv: os.Getenv, now: time.Now}, os.Args[1:])
	stop()
	os.Exit(code)
}

// run runs one command and returns the exit code.
func run(ctx context.Context, w *world, args []string) int {
	root := command(&ctl{world: w})
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil || errors.Is(err, context.Canceled) {
		return 0
	}
	_, _ = fmt.Fprintln(w.err, "emqttd_ctl:", err)
	if e, ok := errors.AsType[*exit](err); ok {
		return e.code
	}
	return exitUsage // what cobra itself finds
}

func command(c *ctl) *cobra.Command {
	root := &cobra.Command{Use: "emqttd_ctl", Short: "Administer a running broker", SilenceUsage: true, SilenceErrors: true}
	root.SetIn(c.in)
	root.SetOut(c.out)
	root.SetErr(c.err)
	f := root.PersistentFlags()
	f.StringVar(&c.url, "url", c.or("EMQTTD_CTL_URL", "http://127.0.0.1:18083"), "where the dashboard listens")
	f.StringVar(&c.key, "key", c.getenv("EMQTTD_CTL_KEY"), "API key")
	f.StringVar(&c.user, "user", c.getenv("EMQTTD_CTL_USER"), "user of the dashboard")
	f.StringVar(&c.password, "password", "", "the user's password; better in EMQTTD_CTL_PASSWORD, which other users cannot see")
	f.StringVar(&c.tokenFile, "token-file", c.getenv("EMQTTD_CTL_TOKEN_FILE"), "ctl.token of the broker's data directory; found in the usual places")
	f.StringVar(&c.caFile, "cacert", "", "certificates to trust, a PEM file, instead of the system's")
	f.BoolVar(&c.insecure, "insecure", false, "do not check the broker's certificate")
	f.BoolVar(&c.json, "json", false, "print the broker's answer as JSON")
	f.DurationVar(&c.timeout, "timeout", 10*time.Second, "for one request")
	for _, noun := range c.nouns() {
		root.AddCommand(noun)
	}
	return root
}

func (c *ctl) or(name, fallback string) string {
	if v := c.getenv(name); v != "" {
		return v
	}
	return fallback
}

// nouns is the table of the commands, emqttd's order first.
func (c *ctl) nouns() []*cobra.Command {
	return []*cobra.Command{
		c.status(), c.broker(), c.users(), c.clients(), c.sessions(), c.routes(), c.topics(), c.subscriptions(),
		c.vm(), c.trace(), c.listeners(),
		c.publish(), c.retained(), c.bans(), c.keys(), c.config(), c.metrics(), c.tree(), c.actors(), c.alarms(), c.slow(), c.topicMetrics(), c.audit(), c.events(),
		c.chaos(), c.deadletters(), c.sim(), c.raw(),
	}
}

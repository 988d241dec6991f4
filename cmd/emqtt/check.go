// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"path"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"emqttd/protocol/conformance"
	"emqttd/protocol/packet"
)

// checkOptions are the flags of `emqtt check`.
type checkOptions struct {
	url, websocket     string
	version, only      string
	username, password string
	cafile             string
	faults             bool
	insecure           bool
	json, verbose      bool
	parallel           int
	timeout            time.Duration
}

// checkCommand is `emqtt check`: the normative statements of the standards as
// scripts of packets, played against any broker.
func checkCommand() *cobra.Command {
	o := &checkOptions{}
	cmd := &cobra.Command{
		Use:   "check",
		Short: "check a broker against the normative statements of MQTT 3.1.1 and 5.0",
		Long: `check plays a script of packets for every normative statement of MQTT 3.1.1 and
5.0 against a broker and prints its verdict: pass, fail, not applicable (the
broker does not offer what the statement is about, or no script can show it) or
error. Where a statement fails it prints the step, what was expected, what came,
and the bytes both ways. The exit code is 1 when a statement fails.

It uses client identifiers and topics of its own and removes the sessions and
retained messages that it leaves. Some statements need more: --username and
--password of a user, and --websocket where --url is not a WebSocket address.`,
		Example: `  emqtt check --url mqtt://localhost:1883
  emqtt check --url wss://broker.example/mqtt --version 5.0 --only 'MQTT-3.1.*'`,
		Args:         cobra.NoArgs,
		SilenceUsage: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return o.run(cmd.Context(), cmd.OutOrStdout())
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.url, "url", "mqtt://localhost:1883", "the broker: mqtt, mqtts, ws or wss://[user:password@]host[:port][/path]")
	f.StringVar(&o.websocket, "websocket", "", "its WebSocket address, for the statements about frames; default: --url if that is ws or wss")
	f.StringVar(&o.version, "version", "all", "statements of which standard: 3.1.1, 5.0 or all")
	f.StringVar(&o.only, "only", "*", "only statements whose identifier matches this pattern")
	f.BoolVar(&o.faults, "faults", false, "instead of the statements: the answer to each kind of fault, as this project's broker gives it")
	f.StringVarP(&o.username, "username", "u", "", "user name of every CONNECT")
	f.StringVarP(&o.password, "password", "P", "", "password of every CONNECT")
	f.StringVar(&o.cafile, "cafile", "", "PEM file of the certificates to trust; default: those of the system")
	f.BoolVar(&o.insecure, "insecure", false, "do not verify the certificate")
	f.BoolVar(&o.json, "json", false, "print one JSON object per statement")
	f.BoolVar(&o.verbose, "verbose", false, "print the bytes of every statement, not only of those that fail")
	f.IntVar(&o.parallel, "parallel", 4, "scripts at a time")
	f.DurationVar(&o.timeout, "timeout", 2*time.Second, "time limit of one step")
	return cmd
}

// run checks and prints; its error says that statements failed, or why nothing
// could be checked.
func (o *checkOptions) run(ctx context.Context, out io.Writer) error {
	list, err := o.statements()
	if err != nil {
		return err
	}
	dial, run, err := o.dialers()
	if err != nil {
		return err
	}
	results := conformance.Run(ctx, dial, list, run)
	if reason, ok := unreachable(results); ok {
		return fmt.Errorf("check: %s", reason)
	}
	counts := map[conformance.Verdict]int{}
	for _, r := range results {
		counts[r.Verdict]++
		if o.json {
			err = printJSON(out, r, o.verbose)
		} else {
			err = printText(out, r, o.verbose)
		}
		if err != nil {
			return err
		}
	}
	if !o.json {
		if _, err := fmt.Fprintln(out, summary(counts, len(results))); err != nil {
			return err
		}
	}
	if bad := counts[conformance.Fail] + counts[conformance.Error]; bad > 0 {
		return fmt.Errorf("check: %d of %d statements not met or not checked", bad, len(results))
	}
	return nil
}

// unreachable reports whether nothing could be checked, all for one reason:
// that is said once and not for each statement.
func unreachable(results []conformance.Result) (reason string, ok bool) {
	for _, r := range results {
		if r.Verdict != conformance.Error || r.Reason != results[0].Reason || len(r.Trace) > 0 {
			return "", false
		}
	}
	return results[0].Reason, true
}

// statements selects what to check.
func (o *checkOptions) statements() ([]conformance.Statement, error) {
	var list []conformance.Statement
	known := map[string][]packet.Version{
		"3.1.1": {packet.V311}, "5.0": {packet.V5}, "5": {packet.V5}, "all": {packet.V311, packet.V5},
	}
	versions, ok := known[o.version]
	if !ok {
		return nil, fmt.Errorf("check: --version %q is none of 3.1.1, 5.0, all", o.version)
	}
	if _, err := path.Match(o.only, ""); err != nil {
		return nil, fmt.Errorf("check: --only %q: %w", o.only, err)
	}
	for _, v := range versions {
		all := conformance.Statements(v)
		if o.faults {
			all = conformance.Faults()
		}
		for _, s := range all {
			if s.Version == v && (matches(o.only, s.ID) || matches("MQTT-"+o.only, s.ID)) {
				list = append(list, s)
			}
		}
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("check: no statement matches --only %q; identifiers look like MQTT-3.1.0-1", o.only)
	}
	return list, nil
}

func matches(pattern, id string) bool {
	ok, _ := path.Match(pattern, id) // the pattern is known to be good
	return ok
}

func summary(counts map[conformance.Verdict]int, total int) string {
	return fmt.Sprintf("%d statements: %d pass, %d fail, %d not applicable, %d error", total,
		counts[conformance.Pass], counts[conformance.Fail], counts[conformance.NotApplicable], counts[conformance.Error])
}

// printText prints a verdict for people: one line, and more where it fails.
func printText(out io.Writer, r conformance.Result, verbose bool) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%-14s  %-5s  %-15s  %s\n", r.Verdict, r.Statement.Version, r.Statement.ID, r.Statement.Meaning)
	if r.Reason != "" {
		fmt.Fprintf(&b, "    because   %s\n", r.Reason)
	}
	bad := r.Verdict == conformance.Fail || r.Verdict == conformance.Error
	if bad && r.Step != "" {
		fmt.Fprintf(&b, "    step      %s\n", r.Step)
	}
	if r.Verdict == conformance.Fail {
		fmt.Fprintf(&b, "    expected  %s\n    got       %s\n", r.Expected, r.Got)
	}
	if bad || verbose {
		for _, e := range r.Trace {
			fmt.Fprintf(&b, "      %s\n", e)
		}
	}
	_, err := io.WriteString(out, b.String())
	return err
}

// checkLine is one statement with --json.
type checkLine struct {
	Version      string          `json:"version"`
	ID           string          `json:"id"`
	Meaning      string          `json:"meaning"`
	Verdict      string          `json:"verdict"`
	Reason       string          `json:"reason,omitempty"`
	Step         string          `json:"step,omitempty"`
	Expected     string          `json:"expected,omitempty"`
	Got          string          `json:"got,omitempty"`
	Milliseconds int64           `json:"milliseconds"`
	Trace        []checkExchange `json:"trace,omitempty"`
}

type checkExchange struct {
	Conn string `json:"conn"`
	Sent bool   `json:"sent"`
	Text string `json:"text"`
	Hex  string `json:"hex"`
}

func printJSON(out io.Writer, r conformance.Result, verbose bool) error {
	line := checkLine{
		Version: r.Statement.Version.String(), ID: r.Statement.ID, Meaning: r.Statement.Meaning,
		Verdict: r.Verdict.String(), Reason: r.Reason, Milliseconds: r.Elapsed.Milliseconds(),
	}
	if r.Verdict == conformance.Fail || r.Verdict == conformance.Error {
		line.Step, line.Expected, line.Got = r.Step, r.Expected, r.Got
		verbose = true
	}
	if verbose {
		for _, e := range r.Trace {
			line.Trace = append(line.Trace, checkExchange{e.Conn, e.Sent, e.Text, hex.EncodeToString(e.Bytes)})
		}
	}
	return json.NewEncoder(out).Encode(line)
}

// SPDX-License-Identifier: Apache-2.0

// Command emqtt is a box of MQTT client tools. `emqtt pub` and `emqtt sub` take
// the flags of mosquitto_pub and mosquitto_sub and answer with the same output
// and exit codes, so that scripts written for those run with these; WebSocket
// is added (--ws, ws:// and wss://). `emqtt check` plays the conformance scripts
// against a broker, `emqtt torture` kills one in the middle of its work.
//
// Reading order: settings.go (what can be asked for), flags.go (how it is
// asked), dial.go, pub.go, sub.go.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/spf13/cobra"
)

// world is what a command touches beside the network; tests bring their own.
type world struct {
	in       io.Reader
	out, err io.Writer
	getenv   func(string) string
	pid      int
	now      func() time.Time
}

// commands is the table of the tools; a new one is a new line.
func commands(w *world) []*cobra.Command {
	return []*cobra.Command{
		pubCommand(w),
		subCommand(w),
		checkCommand(),
		benchCommand(w),
		tortureCommand(w),
	}
}

func main() {
	w := &world{in: os.Stdin, out: os.Stdout, err: os.Stderr, getenv: os.Getenv, pid: os.Getpid(), now: time.Now}
	os.Exit(run(context.Background(), w, os.Args[1:]))
}

// run runs one command and returns the exit code.
func run(ctx context.Context, w *world, args []string) int {
	w.out = &lockedWriter{w: w.out}
	root := &cobra.Command{
		Use:           "emqtt",
		Short:         "MQTT client tools",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.CompletionOptions.DisableDefaultCmd = true
	root.SetOut(w.out)
	root.SetErr(w.err)
	root.SetArgs(args)
	root.AddCommand(commands(w)...)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	if code, ok := errors.AsType[exitCode](err); ok {
		return int(code) // the command has said why
	}
	_, _ = fmt.Fprintln(w.err, "Error:", err)
	return 1
}

// lockedWriter keeps the lines of several goroutines whole.
type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(b)
}

// exitCode ends the program without another word.
type exitCode int

func (e exitCode) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

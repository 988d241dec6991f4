// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"emqttd/protocol/client"
	"emqttd/protocol/packet"
)

func pubCommand(w *world) *cobra.Command {
	return tool(w, "pub", "publish messages, as mosquitto_pub", publishAll)
}

// tool is a command whose flags have mosquitto's grammar.
func tool(w *world, name, short string, do func(ctx context.Context, w *world, s *settings) error) *cobra.Command {
	return &cobra.Command{
		Use: name, Short: short, DisableFlagParsing: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := readSettings(w, name, args)
			switch {
			case err != nil:
				return s.complain(w, err)
			case s.help:
				printHelp(w.out, name)
				return nil
			case s.showVer:
				_, _ = fmt.Fprintf(w.out, "emqtt %s, with the flags of mosquitto_%s 2.0\n", name, name)
				return nil
			}
			return do(cmd.Context(), w, s)
		},
	}
}

// readSettings reads the options file, then the command line, which says it
// last, and checks them.
func readSettings(w *world, name string, args []string) (*settings, error) {
	s := newSettings(name)
	if path := defaultFile(name, w.getenv); path != "" {
		s.fromFile = true
		if err := s.parseFile(path, false); err != nil {
			return s, err
		}
		s.fromFile = false
		if s.tool == "pub" {
			s.pub.mode = 0 // what to send is said on the command line
		}
	}
	if err := s.parse(args); err != nil {
		return s, err
	}
	if s.help || s.showVer {
		return s, nil
	}
	return s, s.check()
}

// publisher is one run of pub.
type publisher struct {
	w      *world
	s      *settings
	c      *client.Client
	msg    client.Message
	number int // messages published
}

func publishAll(ctx context.Context, w *world, s *settings) error {
	p := &publisher{w: w, s: s}
	if err := p.load(); err != nil {
		return s.complain(w, err)
	}
	cfg, err := s.config(w)
	if err != nil {
		return s.complain(w, err)
	}
	if s.pub.mode == 'l' {
		cfg.Reconnect = &client.Backoff{Min: time.Second, Max: time.Second}
	}
	if p.c, err = client.NewClient(cfg); err != nil {
		return err
	}
	if _, err := p.c.Connect(ctx); err != nil {
		return s.failed(w, err)
	}
	if s.pub.mode == 'l' {
		err = p.lines(ctx)
	} else {
		err = p.repeat(ctx)
	}
	if err != nil {
		_ = p.c.Close() // the publish's error says more
		<-p.c.Done()
		return s.failed(w, err)
	}
	err = p.c.Disconnect(ctx, s.disconnect())
	<-p.c.Done()
	if err != nil && !errors.Is(err, client.ErrNotConnected) {
		return s.failed(w, err)
	}
	return nil
}

// load gets the message that -f and -s name, before there is a connection.
func (p *publisher) load() error {
	s := p.s
	p.msg = client.Message{
		Topic: s.topics[0], Payload: s.pub.message, QoS: s.qos, Retain: s.pub.retain, Properties: s.wire(packet.PUBLISH),
	}
	var err error
	switch s.pub.mode {
	case 's':
		if p.msg.Payload, err = readAll(p.w.in, packet.MaxRemainingLength); err != nil {
			return usage("Error reading from stdin: %v.", err)
		}
	case 'f':
		f, err := os.Open(s.pub.file)
		if err != nil {
			return usage("Unable to open file \"%s\".", s.pub.file)
		}
		defer f.Close()
		if p.msg.Payload, err = readAll(f, packet.MaxRemainingLength); err != nil {
			return usage("Error reading file \"%s\": %v.", s.pub.file, err)
		}
	}
	return nil
}

var errTooLong = errors.New("too long")

func readAll(r io.Reader, limit int64) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err == nil && int64(len(b)) > limit {
		return nil, errTooLong
	}
	return b, err
}

// repeat publishes the message, each time after the one before has been taken.
func (p *publisher) repeat(ctx context.Context) error {
	for i := range p.s.pub.repeat {
		if i > 0 && p.s.pub.repeatDelay > 0 {
			select {
			case <-time.After(p.s.pub.repeatDelay):
			case <-p.c.Done():
				return p.c.Wait()
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		m := p.next(p.msg.Payload)
		r, err := p.c.Publish(ctx, m)
		if err = p.judge(p.number, r, err); err != nil {
			return err
		}
	}
	return nil
}

// next is the next message to publish. With a topic alias of the user's own,
// the first one introduces it and the others use it.
func (p *publisher) next(payload []byte) *client.Message {
	m := p.msg
	m.Payload = payload
	if p.number++; p.number > 1 && m.Properties.Has(packet.PropTopicAlias) {
		m.Topic = ""
	}
	return &m
}

// judge prints a warning for a message that the server did not take; only the
// end of the connection, or a message that cannot be sent, is an error.
func (p *publisher) judge(number int, r client.Result, err error) error {
	if err == nil || !r.Code.Failed() {
		return err
	}
	p.s.errorf(p.w, "Warning: Publish %d failed: %s.", number, reasonText(r.Code))
	if r.Properties.Has(packet.PropReasonString) {
		p.s.errorf(p.w, "%s", r.Properties.ReasonString)
	}
	return nil
}

// lines publishes each line of standard input, several at once, and waits for
// the last.
func (p *publisher) lines(ctx context.Context) error {
	var (
		pending sync.WaitGroup
		mu      sync.Mutex
		failure error // the first
	)
	in := bufio.NewReader(p.w.in)
	for {
		line, err := readLine(in, packet.MaxRemainingLength)
		if err == io.EOF {
			break
		}
		if err != nil {
			return fmt.Errorf("standard input: %w", err)
		}
		m := p.next(line)
		number := p.number
		pending.Add(1)
		err = p.c.PublishAsync(ctx, m, func(r client.Result) {
			defer pending.Done()
			if err := p.judge(number, r, r.Err); err != nil {
				mu.Lock()
				defer mu.Unlock()
				if failure == nil {
					failure = err
				}
			}
		})
		if err != nil {
			pending.Done()
			return err
		}
	}
	pending.Wait()
	mu.Lock()
	defer mu.Unlock()
	return failure
}

// readLine returns a line without its end; io.EOF: there is none.
func readLine(r *bufio.Reader, limit int) ([]byte, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case len(line) > limit:
			return nil, errTooLong
		case err == nil:
			return line[:len(line)-1], nil
		case err == io.EOF && len(line) > 0:
			return line, nil
		case err != bufio.ErrBufferFull:
			return nil, err
		}
	}
}

// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"emqttd/protocol/packet"
)

// Dialer opens one connection to the broker: TCP, TLS, or a WebSocket whose
// messages are joined to a stream.
type Dialer func(ctx context.Context) (net.Conn, error)

// Options of a run; the zero value is useful.
type Options struct {
	Parallel           int           // scripts at a time; 0: 4
	Timeout            time.Duration // of one step; 0: 2 s
	Quiet              time.Duration // waited before "nothing" is believed; 0: 20 ms
	Username, Password string        // for every CONNECT that has none of its own
	WebSocket          *WebSocket    // nil: statements about WebSocket do not apply
	Progress           func(Result)  // called once per statement as it ends, one at a time
}

func (o Options) withDefaults() Options {
	if o.Parallel <= 0 {
		o.Parallel = 4
	}
	if o.Timeout <= 0 {
		o.Timeout = 2 * time.Second
	}
	if o.Quiet <= 0 {
		o.Quiet = 20 * time.Millisecond
	}
	return o
}

// maxRepeat bounds "repeat", whose number may be what the broker announced.
const maxRepeat = 70_000

// script is one run of one statement.
type script struct {
	ctx     context.Context
	dial    Dialer
	opts    Options
	st      *Statement
	caps    *capabilities
	vars    vars
	conns   map[string]*conn
	order   []*conn // every connection ever opened
	trace   []Exchange
	litter  litter
	matched int // index of the event that the last expectation found
}

// play runs the script of st; n makes its names unique within the run.
func play(ctx context.Context, dial Dialer, opts Options, caps *capabilities, st *Statement, run string, n int) Result {
	begin := time.Now()
	s := &script{ctx: ctx, dial: dial, opts: opts, st: st, caps: caps, conns: map[string]*conn{}}
	s.vars = caps.variables()
	s.vars["id"] = run + strconv.FormatInt(int64(n), 36)
	s.vars[scramUser], s.vars[scramPassword] = opts.Username, opts.Password
	s.vars["t"] = "conformance/" + run + "/" + strconv.Itoa(n)
	res := Result{Statement: st}
	if st.Scripted() {
		s.verdict(&res, s.steps(&res))
		s.cleanUp()
	} else {
		res.Verdict, res.Reason = NotApplicable, st.Reason
	}
	res.Trace, res.Elapsed = s.trace, time.Since(begin)
	return res
}

// steps plays step by step up to the first that fails.
func (s *script) steps(res *Result) error {
	if reason := s.caps.refused(s.st.Version); reason != "" {
		return &notApplicable{reason}
	}
	for i := range s.st.steps {
		st := &s.st.steps[i]
		res.Line, res.Step = st.line, s.vars.expand(st.text)
		if err := s.repeat(st); err != nil {
			return err
		}
		if err := s.ctx.Err(); err != nil {
			return err
		}
	}
	res.Line, res.Step = 0, ""
	return nil
}

func (s *script) verdict(res *Result, err error) {
	var fail *failure
	var na *notApplicable
	switch {
	case err == nil:
		res.Verdict = Pass
	case errors.As(err, &fail):
		res.Verdict, res.Expected, res.Got = Fail, fail.expected, fail.got
	case errors.As(err, &na):
		res.Verdict, res.Reason = NotApplicable, na.reason
	default:
		res.Verdict, res.Reason = Error, err.Error()
	}
}

func (s *script) repeat(st *step) error {
	count := uint64(1)
	if st.repeat != "" {
		var err error
		if count, err = s.vars.number(st.repeat, 32); err != nil || count > maxRepeat {
			return fmt.Errorf("repeat %s: not a count up to %d", s.vars.expand(st.repeat), maxRepeat)
		}
	}
	for i := range count {
		s.vars["i"] = strconv.FormatUint(i+1, 10)
		if err := s.step(st); err != nil {
			return err
		}
	}
	return nil
}

func (s *script) step(st *step) error {
	c := s.conns[st.conn]
	switch st.op {
	case opNeeds:
		return s.caps.meets(st.raw)
	case opOpen:
		_, err := s.open(st)
		return err
	case opConnect:
		return s.connect(st)
	case opUpgrade:
		return s.upgrade(st)
	case opSend, opQueue:
		return s.send(c, st)
	case opExpect:
		return s.expect(c, st)
	case opSome, opAny:
		return s.drain(c, st)
	case opSkip:
		return s.skip(c, st)
	case opUnless:
		return s.unless(c, st)
	case opBye:
		s.bye(c)
	case opDrop:
		_ = c.nc.Close()
		c.ended = true
	case opWait:
		return s.wait(st.wait)
	}
	return nil
}

// wait sleeps; scripts use it only where time is the subject.
func (s *script) wait(d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-s.ctx.Done():
		return s.ctx.Err()
	}
}

// bye ends a connection as a client should, and waits for the broker to close
// it, so that the broker has handled the DISCONNECT when the next step begins.
// A broker that leaves the closing to the client is given a moment.
func (s *script) bye(c *conn) {
	_ = c.sendPacket(&packet.Disconnect{})
	deadline := time.Now().Add(min(s.opts.Timeout, 300*time.Millisecond))
	for !c.ended {
		if _, ok := c.read(deadline); !ok {
			break
		}
	}
	_ = c.nc.Close()
	c.ended = true
}

// send builds and sends, or queues, one message.
func (s *script) send(c *conn, st *step) error {
	text, b, err := s.encode(c, st)
	if err != nil {
		return fmt.Errorf("line %d: %s: %w", st.line, st.text, err)
	}
	switch {
	case st.op == opQueue:
		c.queue(text, b)
	case st.verb == "text":
		c.send(text, b, opText)
	default:
		c.send(text, b, opBinary)
	}
	return nil
}

// describe is what an expectation was, for a failure.
func (s *script) describe(st *step) string { return s.vars.expand(st.body) }

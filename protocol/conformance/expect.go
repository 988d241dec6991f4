// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"slices"
	"time"

	"emqttd/protocol/packet"
)

// expect plays an expectation: one of several events, or all of them.
func (s *script) expect(c *conn, st *step) error {
	limit := st.wait
	if limit == 0 {
		limit = s.opts.Timeout
	}
	if !st.all {
		return s.expectOne(c, st.events, limit, s.describe(st))
	}
	left := slices.Clone(st.events)
	for len(left) > 0 {
		if err := s.expectOne(c, left, limit, s.describe(st)); err != nil {
			return err
		}
		left = slices.Delete(left, s.matched, s.matched+1)
	}
	return nil
}

// expectOne takes the next thing that comes, which must be one of events;
// s.matched says which.
func (s *script) expectOne(c *conn, events []event, limit time.Duration, want string) error {
	nothing := slices.IndexFunc(events, func(e event) bool { return e.what == "nothing" })
	if nothing >= 0 {
		if err := s.settle(c); err != nil {
			return err
		}
		if len(c.pending) == 0 {
			s.matched = nothing
			return nil
		}
	}
	r, ok := c.next(limit)
	if !ok {
		return &failure{want, "nothing within " + limit.String()}
	}
	why := ""
	for i, ev := range events {
		matched, reason := s.match(c, r, ev, limit)
		if matched {
			s.matched = i
			return nil
		}
		if why == "" || r.kind() == ev.what {
			why = reason
		}
	}
	if why == "" {
		why = r.String()
	}
	return &failure{want, why}
}

// match compares r with one event. The close behind a DISCONNECT or a refusing
// CONNACK is read here, since both are one event to a script.
func (s *script) match(c *conn, r received, ev event, limit time.Duration) (bool, string) {
	switch ev.what {
	case "nothing":
		return false, r.String()
	case "closed":
		return r.closed, r.String()
	case "close":
		return s.matchClose(c, r, ev, limit)
	}
	return matchPacket(r, ev, s.vars)
}

func (s *script) matchClose(c *conn, r received, ev event, limit time.Duration) (bool, string) {
	if r.closed {
		return true, ""
	}
	if !farewell(r.pkt) {
		return false, r.String()
	}
	for _, f := range ev.fields {
		if got, present := r.get(f.name); !matchField(f, got, present, s.vars) {
			return false, r.String()
		}
	}
	end, ok := c.next(limit)
	switch {
	case !ok:
		return false, r.String() + ", but the connection stays open"
	case !end.closed:
		return false, r.String() + ", then " + end.String()
	}
	return true, ""
}

// farewell reports whether the server ends the connection with p.
func farewell(p packet.Packet) bool {
	switch p := p.(type) {
	case *packet.Disconnect:
		return true
	case *packet.Connack:
		return p.Code != packet.Success
	}
	return false
}

// settle reads all that the broker has sent to c. What the other connections
// sent must have had its effect first, so they are fenced before, and a broker
// whose deliveries lag behind its acknowledgements is given a moment.
func (s *script) settle(c *conn) error {
	for _, other := range s.order {
		if other != c {
			if err := other.fence(); err != nil {
				return err
			}
		}
	}
	if err := s.wait(s.opts.Quiet); err != nil {
		return err
	}
	if c.connected {
		return c.fence()
	}
	if r, ok := c.next(0); ok {
		c.unread(r)
	}
	return nil
}

// drain plays "<+" and "<*": everything up to a PINGRESP must match.
func (s *script) drain(c *conn, st *step) error {
	if st.op == opSome {
		if err := s.expectOne(c, st.events, s.opts.Timeout, s.describe(st)); err != nil {
			return err
		}
	}
	if err := s.settle(c); err != nil {
		return err
	}
	for len(c.pending) > 0 {
		if err := s.expectOne(c, st.events, s.opts.Timeout, s.describe(st)); err != nil {
			return err
		}
	}
	return nil
}

// skip passes over everything up to one of the events.
func (s *script) skip(c *conn, st *step) error {
	deadline := time.Now().Add(max(st.wait, s.opts.Timeout))
	for {
		r, ok := c.next(time.Until(deadline))
		if !ok {
			return &failure{s.describe(st), "other packets only"}
		}
		for _, ev := range st.events {
			if matched, _ := s.match(c, r, ev, s.opts.Timeout); matched {
				return nil
			}
		}
		if r.closed || r.fault != nil {
			return &failure{s.describe(st), r.String()}
		}
	}
}

// unless ends the script as not applicable when the event comes next; anything
// else is left for the next step.
func (s *script) unless(c *conn, st *step) error {
	r, ok := c.next(s.opts.Timeout)
	if !ok {
		if slices.ContainsFunc(st.events, func(e event) bool { return e.what == "nothing" }) {
			return &notApplicable{st.reason}
		}
		return nil
	}
	for _, ev := range st.events {
		if matched, _ := s.match(c, r, ev, s.opts.Timeout); matched {
			return &notApplicable{st.reason}
		}
	}
	c.unread(r)
	return nil
}

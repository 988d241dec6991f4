// SPDX-License-Identifier: Apache-2.0

package microscope

import (
	"strings"

	"emqttd/protocol/dissect"
)

// Mask says what of a recording is covered with asterisks.
type Mask uint8

// What is covered.
const (
	Nothing   Mask = iota
	Passwords      // and authentication data
	Contents       // those, and application messages
)

func (k Mask) covers(f *dissect.Field) bool {
	switch f.Kind {
	case dissect.Secret:
		return k >= Passwords
	case dissect.Data:
		return k >= Contents
	case dissect.Faulty: // it may be anything
		return k >= Passwords
	}
	return false
}

// span is a run of MQTT bytes of one direction.
type span struct{ from, to int64 }

// masked are the events with what k covers replaced, in packets and in the
// frames that carried them, lengths kept. Frames whose bytes belong to no whole
// packet are covered altogether: nobody knows what is in them. The events given
// are not changed.
func masked(events []*Event, k Mask) []*Event {
	if k == Nothing {
		return events
	}
	var known, covered [2][]span
	for _, e := range events {
		if p := e.Packet; p != nil {
			w := way(p.Out)
			known[w] = append(known[w], span{p.Stream, p.Stream + int64(len(p.Bytes))})
			for i := range p.Fields {
				if f := &p.Fields[i]; k.covers(f) {
					covered[w] = append(covered[w], span{p.Stream + int64(f.Offset), p.Stream + int64(f.Offset+f.Length)})
				}
			}
		}
	}
	out := make([]*Event, 0, len(events))
	for _, e := range events {
		c := *e
		switch {
		case e.Packet != nil:
			p := *e.Packet
			p.Bytes = cover(p.Bytes, p.Stream, covered[way(p.Out)])
			c.Packet = &p
		case e.Frame != nil && e.Frame.Stream >= 0:
			f := *e.Frame
			w := way(f.Out)
			f.Payload = cover(f.Payload, f.Stream, append(gaps(known[w], f.Stream+int64(len(f.Payload))), covered[w]...))
			c.Frame = &f
		case e.Frame != nil: // ping, pong and close may hold anything, too
			f := *e.Frame
			f.Payload = cover(f.Payload, 0, []span{{2, int64(len(f.Payload))}})
			c.Frame = &f
		case e.Request != nil:
			c.Request = maskedRequest(e.Request)
		}
		out = append(out, &c)
	}
	return out
}

func way(out bool) int {
	if out {
		return outward
	}
	return inward
}

// gaps are the runs up to end that lie in none of known, which is in order.
func gaps(known []span, end int64) (out []span) {
	var at int64
	for _, s := range known {
		if s.from > at {
			out = append(out, span{at, s.from})
		}
		at = s.to
	}
	if at < end {
		out = append(out, span{at, end})
	}
	return out
}

// cover is b, which begins at offset, with asterisks where spans lie.
func cover(b []byte, offset int64, spans []span) []byte {
	out := append([]byte(nil), b...)
	for _, s := range spans {
		for at := max(s.from, offset); at < min(s.to, offset+int64(len(b))); at++ {
			out[at-offset] = '*'
		}
	}
	return out
}

// maskedRequest covers the headers that hold credentials.
func maskedRequest(r *Request) *Request {
	out := *r
	out.Headers = append([]Header(nil), r.Headers...)
	raw := r.Line + "\r\n"
	for i := range out.Headers {
		h := &out.Headers[i]
		switch strings.ToLower(h.Name) {
		case "authorization", "proxy-authorization", "cookie":
			h.Value = strings.Repeat("*", len(h.Value))
		}
		raw += h.Name + ": " + h.Value + "\r\n"
	}
	out.Raw = []byte(raw + "\r\n")
	return &out
}

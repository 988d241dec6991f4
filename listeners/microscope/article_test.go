// SPDX-License-Identifier: Apache-2.0

package microscope_test

import (
	"bytes"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"emqttd/listeners/microscope"
	"emqttd/protocol/packet"
)

// The captures that the project started from, as the microscope sees them.

const articleConnect = `10 33 00 04 4d 51 54 54 04 c2 00 3c 00 0f 38 36 31 36 39 34 30 33 30 31 34 32 34 37 33
	00 0c 6c 69 62 61 69 6e 65 75 32 30 30 34 00 08 31 32 33 34 35 36 37 38`

func TestTheArticleCanBeFollowed(t *testing.T) {
	s := newScope(t, limits())
	id := s.open(s.b.WS(), microscope.Upgrade{Key: "MTMtMTU0NDE1NjY2MjM2NA=="})

	req := s.until(id, "request", func(e *microscope.Event) bool { return e.Request != nil }).Request
	require.Equal(t, "GET /mqtt HTTP/1.1", req.Line)
	res := s.until(id, "response", func(e *microscope.Event) bool { return e.Response != nil }).Response
	require.True(t, res.OK, res.Verdict)
	require.Equal(t, "HTTP/1.1 101 Switching Protocols", res.Line)
	require.Equal(t, microscope.Accept{Key: "MTMtMTU0NDE1NjY2MjM2NA==", GUID: "258EAFA5-E914-47DA-95CA-C5AB0DC85B11",
		Joined: "MTMtMTU0NDE1NjY2MjM2NA==258EAFA5-E914-47DA-95CA-C5AB0DC85B11", SHA1: "a42e624950071787646029c0eab0345437c4a6e2",
		Base64: "pC5iSVAHF4dkYCnA6rA0VDfEpuI=", Got: "pC5iSVAHF4dkYCnA6rA0VDfEpuI=", Equal: true}, *res.Accept)

	s.send(id, microscope.Order{Packet: connect(), Cut: microscope.Cut{How: "fields"}})
	require.Equal(t, dehex(t, "20 02 00 00"), s.packet(id, "CONNACK", 0).Bytes)
	out := s.frames(id, true)
	require.Len(t, out, 13)
	var all []byte
	var want, broker []int
	for _, f := range out {
		require.True(t, f.Fin && f.Masked && f.Opcode == 2)
		all = append(all, f.Payload...)
		want = append(want, f.More.Want)
	}
	require.Equal(t, dehex(t, articleConnect), all)
	require.Equal(t, []int{1, 51, 49, 45, 44, 43, 41, 39, 24, 22, 10, 8, 2}, want)

	// The same as the broker's own ws_loop says after each of the frames.
	actors := map[string]bool{}
	for _, e := range s.events(id) {
		if e.Hop != nil {
			actors[e.Hop.Kind] = true
			if e.Hop.More != nil {
				broker = append(broker, e.Hop.More.Want)
			}
		}
	}
	require.Equal(t, want, broker)
	require.Subset(t, actors, map[string]bool{"ws_loop": true, "ws_client": true, "protocol": true, "sm": true, "session": true})

	p := s.until(id, "CONNECT", func(e *microscope.Event) bool { return e.Packet != nil && e.Packet.Out }).Packet
	require.Len(t, p.Frames, 13)
	require.Len(t, p.Fields, 13)
	require.Equal(t, "CONNECT 861694030142473", p.Title)

	s.send(id, microscope.Order{Packet: &microscope.Spec{Type: "PINGREQ"}, Key: "8f065d55"})
	require.Equal(t, dehex(t, "d0 00"), s.packet(id, "PINGRESP", 0).Bytes)
	out = s.frames(id, true)
	last := out[len(out)-1]
	require.Equal(t, dehex(t, "82 82 8f 06 5d 55"), last.Header)
	require.Equal(t, dehex(t, "c0 00"), last.Payload)

	s.send(id, microscope.Order{Packet: &microscope.Spec{Type: "DISCONNECT"}})
	require.Contains(t, s.closed(id), "code 1000 (normal)")
}

func TestMessagesGoBothWaysAndAreAcknowledged(t *testing.T) {
	for _, version := range []string{"3.1.1", "5.0"} {
		t.Run(version, func(t *testing.T) {
			s := newScope(t, limits())
			id := s.open(s.b.WS(), microscope.Upgrade{})
			c := connect()
			c.Version, c.KeepAlive = version, 0
			s.send(id, microscope.Order{Packet: c})
			s.packet(id, "CONNACK", 0)
			s.send(id, microscope.Order{Packet: &microscope.Spec{Type: "SUBSCRIBE", Filters: []microscope.FilterSpec{{Filter: "a/#", QoS: 2}}}})
			s.packet(id, "SUBACK", 0)
			for i, qos := range []packet.QoS{0, 1, 2} {
				p := &microscope.Spec{Type: "PUBLISH", Topic: "a/b", Payload: "hello", QoS: qos}
				s.send(id, microscope.Order{Packet: p, Cut: microscope.Cut{How: "count", N: 3, Fragments: i%2 == 1}})
				got := s.packet(id, "PUBLISH", i)
				require.True(t, bytes.HasSuffix(got.Bytes, []byte("hello")))
			}
			s.packet(id, "PUBACK", 0)
			s.packet(id, "PUBREC", 0)
			s.packet(id, "PUBREL", 0)
			s.packet(id, "PUBCOMP", 0)
			s.until(id, "PUBCOMP of ours", func(e *microscope.Event) bool { return e.Packet != nil && e.Packet.Out && e.Packet.Type == "PUBCOMP" })
			s.send(id, microscope.Order{Packet: &microscope.Spec{Type: "UNSUBSCRIBE", Filters: []microscope.FilterSpec{{Filter: "a/#"}}}})
			s.packet(id, "UNSUBACK", 0)
			require.NoError(t, s.Hangup(admin, tabName, id, false))
			require.Contains(t, s.closed(id), "close frame")
		})
	}
}

// TestEveryByteOfTheConnectionIsRecorded joins requests, answers and frames again.
func TestEveryByteOfTheConnectionIsRecorded(t *testing.T) {
	s := newScope(t, limits())
	id := s.open(s.b.WS(), microscope.Upgrade{})
	s.send(id, microscope.Order{Packet: connect(), Cut: microscope.Cut{How: "size", N: 7}})
	s.packet(id, "CONNACK", 0)
	s.send(id, microscope.Order{Packet: &microscope.Spec{Type: "PINGREQ"}})
	s.packet(id, "PINGRESP", 0)
	at := map[bool]uint64{}
	for _, e := range s.events(id) {
		switch {
		case e.Request != nil:
			at[true] += uint64(len(e.Request.Raw))
		case e.Response != nil:
			at[false] += uint64(len(e.Response.Raw))
		case e.Frame != nil:
			require.Equal(t, at[e.Frame.Out], e.Frame.Offset)
			at[e.Frame.Out] += uint64(len(e.Frame.Header) + len(e.Frame.Payload))
		}
	}
	var sizes []int
	for _, f := range s.frames(id, true) {
		sizes = append(sizes, len(f.Payload))
	}
	require.Equal(t, []int{7, 7, 7, 7, 7, 7, 7, 4, 2}, sizes)
}

func TestAMalformedPacketIsShownWithWhatIsWrong(t *testing.T) {
	s := newScope(t, limits())
	id := s.open(s.b.WS(), microscope.Upgrade{})
	s.send(id, microscope.Order{Bytes: "10 0c 0004 4d515454 04 03 003c 0000"})
	p := s.until(id, "CONNECT", func(e *microscope.Event) bool { return e.Packet != nil }).Packet
	require.Contains(t, p.Fault, "connect_flags")
	require.Contains(t, p.Fault, "MQTT-3.1.2-3")
	s.closed(id)
	require.True(t, slices.ContainsFunc(s.events(id), func(e *microscope.Event) bool { return e.Hop != nil && e.Hop.Message == "Faulty" }),
		"the broker's actors say it, too")
}

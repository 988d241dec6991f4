// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"testing"

	"github.com/stretchr/testify/require"

	"emqttd/protocol/packet"
)

// deaf is a Line that nobody listens to.
type deaf struct{}

func (deaf) Send(packet.Packet) error { return nil }
func (deaf) Close() error             { return nil }

// noting is a client whose events are noted in got.
func noting(got *[]EventKind) *device {
	return &device{id: "a", version: packet.V311, arrived: map[packet.ID]uint64{}, doubtful: map[packet.ID]bool{},
		record: func(e Event) { *got = append(*got, e.Kind) }, memory: func(string, string) bool { return false }}
}

// connection is a further one of d whose CONNECT was sent.
func connection(d *device, n int, clean bool) *link {
	l := newLink(n, d, clean)
	l.line = deaf{}
	d.links, d.cur = append(d.links, l), l
	d.cleaned = d.cleaned || clean
	return l
}

// TestAClientKnowsAPacketIdentifierUntilPubrel: another message under it is a
// fault, unless a clean start of which nothing was heard may have ended the
// session that it was of.
func TestAClientKnowsAPacketIdentifierUntilPubrel(t *testing.T) {
	for name, c := range map[string]struct {
		clean   bool // the CONNECT without answer
		another bool // message
		want    []EventKind
	}{
		"the same message again":                {false, false, nil},
		"another message":                       {false, true, []EventKind{Broken, Closed}},
		"the same message behind a clean start": {true, false, nil},
		"another message behind a clean start":  {true, true, []EventKind{Received}},
	} {
		t.Run(name, func(t *testing.T) {
			var got []EventKind
			d := noting(&got)
			l := connection(d, 1, false)
			l.handle(&packet.Connack{})
			l.handle(&packet.Publish{QoS: 2, ID: 4, Topic: []byte("t"), Payload: payload(7, 0)})
			connection(d, 2, c.clean).close(ByServer, 0, "")
			l = connection(d, 3, false)
			l.handle(&packet.Connack{SessionPresent: true})
			got = nil
			msg := uint64(7)
			if c.another {
				msg = 8
			}
			again := &packet.Publish{QoS: 2, ID: 4, Topic: []byte("t"), Payload: payload(msg, 0)}
			l.handle(again)
			require.Equal(t, c.want, got)
			if c.another && c.clean {
				l.handle(again)
				require.Equal(t, c.want, got, "it is known now")
			}
		})
	}
}

// TestAPublishThatIsRepeatedIsAnsweredTwice: until both PUBCOMPs are there its
// packet identifier is not free.
func TestAPublishThatIsRepeatedIsAnsweredTwice(t *testing.T) {
	var got []EventKind
	d := noting(&got)
	l := connection(d, 1, false)
	l.handle(&packet.Connack{})
	d.say(l, 7, "t", packet.QoS2, false, false)
	d.repeat(l)
	for range 2 {
		l.handle(&packet.Ack{Kind: packet.PUBREC, ID: 1})
	}
	d.repeat(l) // it is released: nothing is left to repeat
	l.handle(&packet.Ack{Kind: packet.PUBCOMP, ID: 1})
	d.pid = 0
	require.Equal(t, packet.ID(2), d.fresh(l))
	l.handle(&packet.Ack{Kind: packet.PUBCOMP, ID: 1})
	d.pid = 0
	require.Equal(t, packet.ID(1), d.fresh(l))
	require.Equal(t, []EventKind{Accepted, Published, Published, Answered}, got)

	l.handle(&packet.Ack{Kind: packet.PUBCOMP, ID: 1})
	require.Equal(t, []EventKind{Broken, Closed}, got[4:], "a third is one too many")
}

// TestAClientVanishesWithAQoS2MessageInFlight: it has the message, the broker no
// PUBREC.
func TestAClientVanishesWithAQoS2MessageInFlight(t *testing.T) {
	var got []EventKind
	d := noting(&got)
	d.vanishes = true
	l := connection(d, 1, false)
	l.handle(&packet.Connack{})
	l.handle(&packet.Publish{QoS: 1, ID: 3, Topic: []byte("t"), Payload: payload(6, 0)})
	l.handle(&packet.Publish{QoS: 2, ID: 4, Topic: []byte("t"), Payload: payload(7, 0)})
	require.Equal(t, []EventKind{Accepted, Received, Received, Closed}, got)
	require.Contains(t, d.arrived, packet.ID(4))
	require.False(t, d.vanishes)
}

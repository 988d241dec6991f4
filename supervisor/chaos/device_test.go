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

// connection is a further one of d whose CONNECT was sent.
func connection(d *device, n int, clean bool) *link {
	l := &link{n: n, dev: d, line: deaf{}, clean: clean, requests: map[packet.ID]int{}, ghosts: map[packet.ID]uint64{}}
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
			d := &device{id: "a", version: packet.V311, arrived: map[packet.ID]uint64{}, doubtful: map[packet.ID]bool{},
				record: func(e Event) { got = append(got, e.Kind) }, memory: func(string, string) bool { return false }}
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

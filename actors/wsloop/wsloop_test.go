// SPDX-License-Identifier: Apache-2.0

package wsloop_test

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"emqttd/actors/cast"
	"emqttd/actors/cast/casttest"
	"emqttd/actors/metrics"
	"emqttd/actors/wsloop"
	"emqttd/protocol/packet"
	"emqttd/protocol/serializer"
	"emqttd/supervisor/stagetest"
)

const maxPacket = 1 << 10

// desk is the parser actor of one connection and a probe in its client's place.
type desk struct {
	w      *stagetest.World
	conn   *casttest.Conn
	client *stagetest.Probe
}

func newDesk(t *testing.T, w *stagetest.World) *desk {
	d := &desk{w: w, conn: casttest.New(t)}
	env := cast.NewEnv("emqttd@127.0.0.1", zerolog.Nop(), new(metrics.Metrics), &cast.Limits{HexBytes: 32})
	d.client = w.ProbeAt(&d.conn.Client, "client", nil)
	wsloop.Init(wsloop.Kind(env), &d.conn.Conn, d.conn.Owner(), w.Group, maxPacket)
	w.Start(&d.conn.Loop)
	return d
}

// feed hands in chunks, each in a buffer of its own that is overwritten when its
// turn is over, as the loop's is.
func (d *desk) feed(chunks ...[]byte) {
	for _, c := range chunks {
		buffer := bytes.Clone(c)
		d.w.Tell(&d.conn.Loop, cast.NewData(buffer))
	}
}

// heard is what the client actor was told, one line for each packet. The batches
// are looked at in their turn: their bytes are the read buffer's.
func (d *desk) heard() (out []string) {
	for _, m := range d.client.Take() {
		switch m := m.(type) {
		case *cast.Received:
			for p := m.Current(); p != nil; p = m.Current() {
				out = append(out, tell(p))
				m.Next()
			}
			m.Release()
		case *cast.Faulty:
			out = append(out, fmt.Sprintf("faulty %s v%d % x poison=%v", m.Fault.Info().Label, m.Version, m.Bytes, m.Poison))
		case *cast.Closed:
			out = append(out, "closed")
		default:
			out = append(out, fmt.Sprintf("%T", m))
		}
	}
	return out
}

func tell(p packet.Packet) string {
	switch p := p.(type) {
	case *packet.Connect:
		return fmt.Sprintf("CONNECT v%d %q keepalive %d", p.Version, p.ClientID, p.KeepAlive)
	case *packet.Publish:
		return fmt.Sprintf("PUBLISH q%d %s %s", p.QoS, p.Topic, p.Payload)
	default:
		return p.Type().String()
	}
}

func seed(t *testing.T, name string) (pieces [][]byte) {
	text, err := os.ReadFile("../../protocol/testdata/seeds/" + name)
	require.NoError(t, err)
	for line := range strings.Lines(string(text)) {
		line, _, _ = strings.Cut(line, "#")
		b, err := hex.DecodeString(strings.Join(strings.Fields(line), ""))
		require.NoError(t, err)
		if len(b) > 0 {
			pieces = append(pieces, b)
		}
	}
	return pieces
}

func encode(t *testing.T, v packet.Version, packets ...packet.Packet) (b []byte) {
	for _, p := range packets {
		var err error
		b, err = serializer.Append(b, p, v)
		require.NoError(t, err)
	}
	return b
}

func singly(b []byte) (out [][]byte) {
	for i := range b {
		out = append(out, b[i:i+1])
	}
	return out
}

func TestTheConnectOfTheSeedsIsOnePacketHoweverItArrives(t *testing.T) {
	whole := bytes.Join(seed(t, "connect_tcp.hex"), nil)
	for name, chunks := range map[string][][]byte{
		"whole": {whole}, "in its 13 pieces": seed(t, "connect_websocket.hex"), "byte by byte": singly(whole),
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t, stagetest.New(t))
			d.feed(chunks[:len(chunks)-1]...)
			require.Empty(t, d.heard(), "{more, Parser}: nothing is passed on")
			d.feed(chunks[len(chunks)-1])
			got := d.heard()
			require.Len(t, got, 1)
			require.Contains(t, got[0], "CONNECT v4")
		})
	}
}

func TestTheContinuationIsToldToPeople(t *testing.T) {
	d := newDesk(t, stagetest.New(t))
	whole := bytes.Join(seed(t, "connect_tcp.hex"), nil)
	d.feed(whole[:12])
	stage, buffered, wants := wsloop.Continuation(&d.conn.Conn)
	require.NotEmpty(t, stage)
	require.Equal(t, len(whole)-12, wants, "%s, %d buffered", stage, buffered)
}

func TestThePacketsOfOneChunkTravelTogetherAndInOrder(t *testing.T) {
	d := newDesk(t, stagetest.New(t))
	connect := bytes.Join(seed(t, "connect_tcp.hex"), nil)
	d.feed(append(bytes.Clone(connect), encode(t, packet.V311, &packet.Pingreq{},
		&packet.Publish{Topic: []byte("a"), Payload: []byte("1")}, &packet.Disconnect{})...))
	batches := d.client.Take()
	require.Len(t, batches, 1)
	require.Len(t, batches[0].(*cast.Received).Packets, 4)
}

func TestBytesBehindAFaultAreNotLookedAt(t *testing.T) {
	d := newDesk(t, stagetest.New(t))
	connect := bytes.Join(seed(t, "connect_tcp.hex"), nil)
	d.feed(append(append(bytes.Clone(connect), 0xC0, 0x00, 0xF3, 0x01), 0xC0, 0x00), []byte{0xC0, 0x00})
	got := d.heard()
	require.Len(t, got, 3, "what precedes the fault is passed on: %q", got)
	require.Equal(t, "PINGREQ", got[1])
	require.True(t, strings.HasPrefix(got[2], "faulty "), got[2])
	require.Contains(t, got[2], "f3 01", "the offending bytes are shown")
}

func TestOfAConnectThatIsFaultyNoPasswordIsShown(t *testing.T) {
	d := newDesk(t, stagetest.New(t))
	b := encode(t, packet.V311, &packet.Connect{Version: packet.V311, ClientID: "c", CleanStart: true,
		HasUsername: true, Username: "u", HasPassword: true, Password: []byte("secret")})
	b[9] |= 1 // a reserved bit of the connect flags [v3.1.1 MQTT-3.1.2-3]
	d.feed(b)
	got := d.client.Take()
	require.Len(t, got, 1)
	require.NotContains(t, string(got[0].(*cast.Faulty).Bytes), "secret")
	require.LessOrEqual(t, len(got[0].(*cast.Faulty).Bytes), 12)
}

func TestAPacketAboveTheMaximumIsRefusedAtItsHeader(t *testing.T) {
	d := newDesk(t, stagetest.New(t))
	d.feed(bytes.Join(seed(t, "connect_tcp.hex"), nil), []byte{0x30, 0x81, 0x10}) // 2049 bytes are to follow
	got := d.heard()
	require.Len(t, got, 2)
	require.True(t, strings.HasPrefix(got[1], "faulty "+packet.FaultPacketTooLarge.Info().Label), got[1])
}

// TestACrashAtAnyStepChangesNothing: the continuation and the unread bytes are
// the cell's.
func TestACrashAtAnyStepChangesNothing(t *testing.T) {
	connect := seed(t, "connect_websocket.hex")
	rest := encode(t, packet.V311, &packet.Publish{Topic: []byte("a/b"), Payload: []byte("one")},
		&packet.Publish{QoS: packet.QoS1, ID: 1, Topic: []byte("a/b"), Payload: []byte("two")}, &packet.Pingreq{})
	stagetest.AtEveryStep(t, "ws_loop", func(t *testing.T, w *stagetest.World) []string {
		d := newDesk(t, w)
		d.feed(connect...)
		got := d.heard()
		d.feed(rest[:7], rest[7:])
		got = append(got, d.heard()...)
		d.w.Tell(&d.conn.Loop, &cast.Closed{Reason: metrics.ClosePeer})
		return append(got, d.heard()...)
	})
}

func TestAnActorThatSawTheEndOfItsSocketEnds(t *testing.T) {
	d := newDesk(t, stagetest.New(t))
	d.w.Tell(&d.conn.Loop, &cast.Closed{Reason: metrics.ClosePeer})
	require.Equal(t, []string{"closed"}, d.heard())
	require.True(t, d.conn.Loop.Ended())
	require.False(t, d.conn.Loop.Push(cast.NewData([]byte{0xC0, 0})), "a message for it is counted and gone")
	require.EqualValues(t, 1, d.conn.Loop.Kind().Dropped.Load())
}

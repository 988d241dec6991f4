// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"emqttd/protocol/packet"
	"emqttd/protocol/serializer"
)

func TestAPublishIsReadAsItWasWritten(t *testing.T) {
	props := &packet.Properties{TopicAlias: 3, User: []packet.UserProperty{{Key: "k", Value: "v"}}}
	props.Set(packet.PropTopicAlias)
	for _, v := range []packet.Version{packet.V31, packet.V311, packet.V5} {
		for qos := range packet.QoS(3) {
			for _, size := range []int{0, 1, 100, 20_000, 3 << 20} {
				want := packet.Publish{QoS: qos, Retain: size == 1, Topic: []byte("a/b"), Payload: bytes.Repeat([]byte{7}, size)}
				if qos > 0 {
					want.ID = 513
				}
				if v == packet.V5 {
					want.Properties = props
				}
				b, err := serializer.AppendPublish(nil, &want, v)
				require.NoError(t, err)
				n, header, err := packetSize(b)
				require.NoError(t, err)
				require.Equal(t, len(b), n)
				var got publish
				require.NoError(t, readPublish(&got, b, header, v))
				require.Equal(t, byte(want.QoS), got.qos)
				require.Equal(t, want.Retain, got.retain)
				require.Equal(t, uint16(want.ID), got.id)
				require.Equal(t, "a/b", string(got.topic))
				require.True(t, bytes.Equal(want.Payload, got.payload))
			}
		}
	}
}

func TestPacketsThatAreCutOrWrongAreNotReadBeyond(t *testing.T) {
	for _, tt := range []struct {
		name string
		b    []byte
		err  error
	}{
		{"nothing", nil, nil},
		{"a type", []byte{0x30}, nil},
		{"half a length", []byte{0x30, 0x80}, nil},
		{"a length of five bytes", []byte{0x30, 0x80, 0x80, 0x80, 0x80, 1}, errMalformed},
	} {
		size, _, err := packetSize(tt.b)
		require.Zero(t, size, tt.name)
		require.ErrorIs(t, err, tt.err, tt.name)
	}
	whole := []byte{0x32, 0x0a, 0, 1, 'a', 0, 1, 2, 0x26, 0x26, 'x', 'y'}
	require.NoError(t, readPublish(&publish{}, whole, 2, packet.V5))
	for n := 2; n < 10; n++ {
		require.ErrorIs(t, readPublish(&publish{}, whole[:n], 2, packet.V5), errMalformed, "%d bytes", n)
	}
	_, _, err := readAck([]byte{0x40, 1, 0}, 2)
	require.ErrorIs(t, err, errMalformed)
	_, _, err = readSuback([]byte{0x90, 2, 0, 1}, 2, packet.V5)
	require.ErrorIs(t, err, errMalformed)
}

func TestFramesAreTheSameHoweverTheyAreCut(t *testing.T) {
	var stream, want []byte
	for _, f := range []struct {
		op      byte
		payload []byte
	}{
		{0x82, []byte("short")}, {0x89, []byte("are you there")}, {0x02, bytes.Repeat([]byte{1}, 200)},
		{0x80, bytes.Repeat([]byte{2}, 70_000)}, {0x8a, nil}, {0x82, nil}, {0x89, nil}, {0x82, []byte("end")},
	} {
		stream = append(stream, f.op)
		switch n := len(f.payload); {
		case n < 126:
			stream = append(stream, byte(n))
		case n < 1<<16:
			stream = append(stream, 126, byte(n>>8), byte(n))
		default:
			stream = append(stream, 127, 0, 0, 0, 0, 0, byte(n>>16), byte(n>>8), byte(n))
		}
		stream = append(stream, f.payload...)
		if f.op&0x0f <= opBinary {
			want = append(want, f.payload...)
		}
	}
	for _, step := range []int{1, 2, 3, 7, 1000, len(stream)} {
		w := newWebSocket(1)
		var got []byte
		for b := bytes.Clone(stream); len(b) > 0; {
			part := b[:min(step, len(b))]
			b = b[len(part):]
			n, err := w.unframe(part)
			require.NoError(t, err)
			got = append(got, part[:n]...)
		}
		require.True(t, bytes.Equal(want, got), "in steps of %d", step)
		require.Equal(t, "are you there", string(unmask(t, w.framed[:2+4+13])))
		require.Empty(t, unmask(t, w.framed[2+4+13:]), "the answer to an empty ping")
	}
}

// unmask is the payload of one short masked frame.
func unmask(t *testing.T, frame []byte) []byte {
	t.Helper()
	require.Equal(t, byte(0x80|len(frame)-6), frame[1])
	b := bytes.Clone(frame[6:])
	for i := range b {
		b[i] ^= frame[2+i%4]
	}
	return b
}

func TestFramesThatABrokerMayNotSendAreRefused(t *testing.T) {
	for name, b := range map[string][]byte{
		"masked":           {0x82, 0x81, 1, 2, 3, 4, 5},
		"of an extension":  {0xc2, 0x01, 0},
		"text":             {0x81, 0x01, 'a'},
		"a long ping":      {0x89, 126, 0, 200},
		"close":            {0x88, 0},
		"an unknown code":  {0x83, 0},
		"close with a why": {0x88, 2, 3, 0xe8},
	} {
		_, err := newWebSocket(1).unframe(b)
		require.Error(t, err, name)
	}
}

func TestWhatIsFramedIsUnmaskedToItself(t *testing.T) {
	w := newWebSocket(3)
	for n := range 100 {
		payload := bytes.Repeat([]byte{byte(n), 0xff}, n/2)
		require.True(t, bytes.Equal(payload, unmask(t, w.frame(nil, opBinary, payload))))
	}
	require.Equal(t, []byte{0x82, 0xfe, 0x01, 0x00}, w.frame(nil, opBinary, make([]byte, 256))[:4])
	require.Equal(t, []byte{0x82, 0xff, 0, 0, 0, 0, 0, 1, 0, 0}, w.frame(nil, opBinary, make([]byte, 1<<16))[:10])
}

func TestTheUpgradeIsAnsweredByAWebSocketServerOnly(t *testing.T) {
	w := newWebSocket(1)
	for _, answer := range []string{
		"HTTP/1.1 400 Bad Request\r\n\r\n",
		"HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: wrong\r\n\r\n",
		string(bytes.Repeat([]byte("x"), maxUpgrade+1)),
	} {
		_, err := w.answer([]byte(answer))
		require.Error(t, err)
	}
	n, err := w.answer([]byte("HTTP/1.1 101 Swi"))
	require.NoError(t, err)
	require.Zero(t, n)
	require.False(t, w.open)
}

func TestAMachineThatIsNotOursIsNotLoaded(t *testing.T) {
	for _, tt := range []struct {
		url  string
		mine bool
		ok   bool
	}{
		{"mqtt://127.0.0.1:1883", false, true},
		{"mqtt://127.9.9.9", false, true},
		{"ws://[::1]:8083/mqtt", false, true},
		{"mqtt://192.0.2.1:1883", false, false},
		{"mqtt://192.0.2.1:1883", true, true},
		{"mqtt://[2001:db8::1]:1883", false, false},
		{"mqtt://0.0.0.0:1883", false, false},
		{"http://127.0.0.1", false, false},
		{"mqtt://", false, false},
	} {
		_, err := newTarget(tt.url, nil, tt.mine)
		require.Equal(t, tt.ok, err == nil, "%s %v: %v", tt.url, tt.mine, err)
	}
}

func TestLocalAddressesAreManyAndDiffer(t *testing.T) {
	here, err := newTarget("mqtt://127.0.0.1", nil, false)
	require.NoError(t, err)
	require.False(t, here.source(0).IsValid(), "the system's choice")
	seen := map[string]bool{}
	for n := 1; n < 70_000; n++ {
		a := here.source(n)
		require.True(t, a.IsLoopback())
		require.False(t, seen[a.String()])
		seen[a.String()] = true
	}
	there, err := newTarget("mqtt://192.0.2.1", nil, true)
	require.NoError(t, err)
	require.False(t, there.source(5).IsValid())
}

func TestAMessageIsHandledWithoutAllocating(t *testing.T) {
	r := &run{Config: &Config{Size: 64}, loop: &loop{}, stamp: 9, result: &Result{}}
	r.tally = &r.result.Tally
	r.Publishers, r.Subscribers = 1, 1
	p := &publisher{r: r, fan: 1, sent: 1 << 40, queued: true}
	r.pubs = []*publisher{p}
	s := &subscriber{r: r, judge: inOrder, streams: make([]stream, 1)}
	s.c = &conn{l: r.loop, role: s, state: ready, version: packet.V311, dirty: true, out: make([]byte, 0, 1<<20)}
	const n = 100
	m := &packet.Publish{QoS: 1, ID: 1, Topic: []byte("t"), Payload: make([]byte, 64)}
	frame, err := serializer.AppendPublish(nil, m, packet.V311)
	require.NoError(t, err)
	buf := make([]byte, headroomOfTest, headroomOfTest+n*len(frame))
	seq := uint64(0)
	handle := func() {
		buf, s.c.out = buf[:headroomOfTest], s.c.out[:0]
		for range n {
			putStamp(frame[len(frame)-64:], 9, stamp{seq: seq})
			buf = append(buf, frame...)
			seq++
		}
		if err := s.c.received(buf, headroomOfTest, len(buf)-headroomOfTest); err != nil {
			panic(err)
		}
	}
	require.Zero(t, testing.AllocsPerRun(100, handle))
	require.Equal(t, int64(seq), r.tally.Delivered)
}

const headroomOfTest = 1 << 10

func TestBytesGiveTheSameDeliveriesHoweverTheyAreCut(t *testing.T) {
	for _, step := range []int{1, 2, 5, 90, 91, 1000, 5000} {
		r := &run{Config: &Config{Size: 3000}, loop: &loop{}, stamp: 9, result: &Result{}}
		r.tally = &r.result.Tally
		r.Publishers, r.Subscribers = 1, 1
		r.pubs = []*publisher{{r: r, fan: 1, sent: 100}}
		s := &subscriber{r: r, judge: inOrder, streams: make([]stream, 1)}
		s.c = &conn{l: r.loop, role: s, state: ready, version: packet.V311}
		var all []byte
		for seq := range 20 {
			m := &packet.Publish{Topic: []byte("t"), Payload: make([]byte, 3000)}
			putStamp(m.Payload, 9, stamp{seq: uint64(seq)})
			var err error
			all, err = serializer.AppendPublish(all, m, packet.V311)
			require.NoError(t, err)
		}
		for len(all) > 0 {
			buf := append(make([]byte, headroomOfTest), all[:min(step, len(all))]...)
			all = all[len(buf)-headroomOfTest:]
			require.NoError(t, s.c.received(buf, headroomOfTest, len(buf)-headroomOfTest))
		}
		require.Equal(t, int64(20), r.tally.Delivered, "in steps of %d", step)
		require.Zero(t, r.tally.Reordered+r.tally.Foreign+r.tally.Duplicated)
	}
}

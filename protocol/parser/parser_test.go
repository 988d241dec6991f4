// SPDX-License-Identifier: Apache-2.0

package parser_test

import (
	"bytes"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"

	"emqttd/protocol/packet"
	"emqttd/protocol/parser"
)

// theConnect is the CONNECT of the captures.
var theConnect = &packet.Connect{
	Version: packet.V311, CleanStart: true, KeepAlive: 60, ClientID: "861694030142473",
	HasUsername: true, Username: "libaineu2004", HasPassword: true, Password: []byte("12345678"),
}

func TestSeed(t *testing.T) {
	tcp := bytes.Join(seed(t, "connect_tcp.hex"), nil)
	frames := seed(t, "connect_websocket.hex")
	require.Len(t, tcp, 53)
	require.Len(t, frames, 13)
	require.Equal(t, tcp, bytes.Join(frames, nil))

	for _, c := range []struct {
		name   string
		chunks [][]byte
		want   []packet.Packet
	}{
		{"CONNECT whole", [][]byte{tcp}, []packet.Packet{theConnect}},
		{"CONNECT in 13 frames", frames, []packet.Packet{theConnect}},
		{"CONNECT byte by byte", bytewise(tcp), []packet.Packet{theConnect}},
		{"CONNECT and PINGREQ in one frame", [][]byte{append(bytes.Clone(tcp), seed(t, "pingreq.hex")[0]...)},
			[]packet.Packet{theConnect, &packet.Pingreq{}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := feed(t, server(v0), c.chunks...)
			require.Nil(t, r.err)
			require.Equal(t, c.want, r.packets)
			require.Equal(t, packet.V311, r.last.Version())
			require.Zero(t, r.last.Buffered())
		})
	}
	require.Equal(t, []packet.Packet{&packet.Connack{}}, feed(t, client(v4), seed(t, "connack.hex")...).packets)
	require.Equal(t, []packet.Packet{&packet.Pingresp{}}, feed(t, client(v4), seed(t, "pingresp.hex")...).packets)
}

func TestParser_says_where_it_stands(t *testing.T) {
	data := wire(t, "30 80 01  00 01 61") // PUBLISH, 128 bytes follow
	type standing struct {
		stage          string
		want, buffered int
	}
	p := server(v4)
	at := func() standing { return standing{p.Stage(), p.Want(), p.Buffered()} }
	var seen []standing
	for i := range data {
		seen = append(seen, at())
		var err error
		p, _, _, err = p.Parse(data[i:i+1], nil)
		require.NoError(t, err)
	}
	require.Equal(t, []standing{
		{"fixed header", 2, 0},
		{"remaining length", 1, 1},
		{"remaining length", 1, 2},
		{"body", 128, 3},
		{"body", 127, 4},
		{"body", 126, 5},
	}, seen)
	require.Equal(t, standing{"body", 125, 6}, at())
}

func TestParser_is_a_small_value(t *testing.T) {
	require.LessOrEqual(t, unsafe.Sizeof(parser.Parser{}), uintptr(96))
}

func TestParser_learns_the_version_from_CONNECT(t *testing.T) {
	for v, connect := range map[packet.Version]string{
		v3: "10 0e  00 06 4d 51 49 73 64 70 03 02 00 00  00 00",
		v4: "10 0c  00 04 4d 51 54 54 04 02 00 00  00 00",
		v5: "10 0d  00 04 4d 51 54 54 05 02 00 00  00  00 00",
	} {
		r := feed(t, server(v0), wire(t, connect))
		require.Nil(t, r.err)
		require.Equal(t, v, r.last.Version())
	}
}

// Deciding twice from the same continuation with the same bytes gives the same
// packet: an actor that crashed between deciding and committing tries again.
func TestParser_decides_twice_alike(t *testing.T) {
	stream := wire(t, `
		10 0d  00 04 4d 51 54 54 05 02 00 00  00  00 00
		32 0b  00 03 61 2f 62  00 07  00  68 69 21
		30 82 01  00 01 61  00`+string(bytes.Repeat([]byte("7a "), 126))+`
		e0 00`)
	for size := 1; size <= len(stream); size++ {
		p, slab := server(v0), new(parser.Slab)
		var got []packet.Packet
		for left := stream; len(left) > 0; {
			data := left[:min(size, len(left))]
			left = left[len(data):]
			for len(data) > 0 {
				first, pkt1, rest1, err1 := p.Parse(data, slab)
				again, pkt2, rest2, err2 := p.Parse(data, slab)
				require.NoError(t, err1)
				require.NoError(t, err2)
				require.Equal(t, pkt1, pkt2)
				require.Equal(t, rest1, rest2)
				require.Equal(t, first.Buffered(), again.Buffered())
				if pkt2 != nil {
					got = append(got, pkt2)
				}
				p, data = again, rest2
			}
		}
		require.Len(t, got, 4, "chunks of %d", size)
		require.Equal(t, &packet.Publish{QoS: 1, ID: 7, Topic: []byte("a/b"), Payload: []byte("hi!")}, got[1])
		require.Equal(t, bytes.Repeat([]byte("z"), 126), got[2].(*packet.Publish).Payload)
	}
}

func TestParser_keeps_an_old_continuation_as_it_was(t *testing.T) {
	data := wire(t, "30 06  00 01 61  62 63 64")
	old, _, _, err := server(v4).Parse(data[:5], nil)
	require.NoError(t, err)
	before := old
	_, pkt, _, err := old.Parse(data[5:], nil)
	require.NoError(t, err)
	require.NotNil(t, pkt)
	require.Equal(t, before, old)
}

func TestParser_publish_lying_whole_in_the_input_aliases_it(t *testing.T) {
	data := wire(t, "30 06  00 01 61  62 63 64  c0 00")
	_, pkt, rest, err := server(v4).Parse(data, nil)
	require.NoError(t, err)
	require.Len(t, rest, 2)
	p := pkt.(*packet.Publish)
	require.Same(t, &data[4], &p.Topic[0])
	require.Same(t, &data[5], &p.Payload[0])
	_ = append(p.Payload, 0xff) // must not reach the next packet
	_ = append(p.Topic, 0xff)
	require.Equal(t, wire(t, "30 06  00 01 61  62 63 64  c0 00"), data)
}

func TestParser_publish_that_was_cut_owns_its_bytes(t *testing.T) {
	first := wire(t, "30 06  00 01 61  62")
	second := wire(t, "63 64  30 06  00 01 78  79 79 79")
	p, pkt, _, err := server(v4).Parse(first, nil)
	require.NoError(t, err)
	require.Nil(t, pkt)
	clear(first) // the caller reads into the same buffer again
	p, pkt, rest, err := p.Parse(second, nil)
	require.NoError(t, err)
	_, other, _, err := p.Parse(rest, nil)
	require.NoError(t, err)
	clear(second)
	require.Equal(t, &packet.Publish{Topic: []byte("a"), Payload: []byte("bcd")}, pkt)
	require.Equal(t, []byte{0, 0, 0}, other.(*packet.Publish).Payload, "and this one lay whole in the input")
}

func TestParser_copies_everything_else(t *testing.T) {
	for _, c := range []struct {
		name  string
		v     packet.Version
		bytes string
	}{
		{"CONNECT", v0, `10 26  00 04 4d 51 54 54 05 c6 00 3c  08 15 00 01 61 16 00 01 62  00 01 63
			00  00 01 64 00 02 65 66  00 01 67  00 03 68 69 6a`},
		{"SUBSCRIBE", v5, "82 0e  00 01  07 26 00 01 61 00 01 62  00 01 63 01"},
		{"UNSUBSCRIBE", v4, "a2 05  00 01  00 01 63"},
		{"PUBLISH's properties", v5, "30 0f  00 01 61  0b 09 00 01 62  26 00 01 63 00 01 64"},
		{"AUTH", v5, "f0 0a  18  08 15 00 01 61 16 00 01 62"},
	} {
		t.Run(c.name, func(t *testing.T) {
			data := wire(t, c.bytes)
			_, want, _, err := server(c.v).Parse(bytes.Clone(data), nil)
			require.NoError(t, err)
			require.NotNil(t, want)
			_, got, _, err := server(c.v).Parse(data, nil)
			require.NoError(t, err)
			for i := range data {
				data[i] ^= 0xff
			}
			if p, ok := got.(*packet.Publish); ok {
				require.Equal(t, want.(*packet.Publish).Properties, p.Properties)
				return
			}
			require.Equal(t, want, got)
		})
	}
}

// A header costs its sender five bytes; it must not cost us 256 MB.
func TestParser_memory_follows_what_has_arrived(t *testing.T) {
	head := wire(t, "30 ff ff ff 7f")
	chunk := make([]byte, 1000)
	p, _, _, err := server(v4).Parse(head, nil)
	require.NoError(t, err)
	require.Zero(t, testing.AllocsPerRun(10, func() { _, _, _, _ = server(v4).Parse(head, nil) }))

	arrived, moved := 0, 0
	for range 1000 {
		before := cap(parser.Body(p))
		p, _, _, err = p.Parse(chunk, nil)
		require.NoError(t, err)
		arrived += len(chunk)
		require.LessOrEqual(t, cap(parser.Body(p)), 2*arrived+512)
		if cap(parser.Body(p)) != before {
			moved += arrived
		}
	}
	require.Less(t, moved, 4*arrived, "bytes copied while growing")
	require.Equal(t, arrived+len(head), p.Buffered())
}

func TestParser_body_buffer_is_never_larger_than_the_body(t *testing.T) {
	p, _, _, err := server(v4).Parse(wire(t, "30 06  00 01 61  62"), nil)
	require.NoError(t, err)
	require.Equal(t, 6, cap(parser.Body(p)))
}

func TestParser_WithMax_admits_the_packet_whose_length_is_read(t *testing.T) {
	data := wire(t, "30 06  00 01 61  62 63 64")
	p, _, _, err := server(v4).Parse(data[:2], nil)
	require.NoError(t, err)
	p, pkt, _, err := p.WithMax(4).Parse(data[2:], nil)
	require.NoError(t, err)
	require.NotNil(t, pkt)
	_, _, _, err = p.Parse(data, nil)
	require.ErrorIs(t, err, packet.FaultPacketTooLarge)
}

func TestParser_an_error_leaves_the_continuation(t *testing.T) {
	p, _, _, err := server(v4).Parse(wire(t, "30"), nil)
	require.NoError(t, err)
	next, pkt, _, err := p.Parse(wire(t, "01 00"), nil)
	require.ErrorIs(t, err, packet.FaultTruncated)
	require.Nil(t, pkt)
	require.Equal(t, p, next)
}

func TestParser_second_CONNECT_is_parsed(t *testing.T) {
	connect := wire(t, "10 0c  00 04 4d 51 54 54 04 02 00 00  00 00")
	r := feed(t, server(v0), connect, connect)
	require.Nil(t, r.err)
	require.Len(t, r.packets, 2)
}

func TestParser_a_client_without_version_speaks_3_1_1(t *testing.T) {
	require.Equal(t, packet.V311, parser.New(parser.Options{Role: parser.Client}).Version())
}

// What MQTT 3.1 allows and later versions refuse.
func TestParser_of_3_1_is_lenient(t *testing.T) {
	subscribe := &packet.Subscribe{ID: 10, Subscriptions: []packet.Subscription{{Filter: "a", QoS: 1}}}
	for _, c := range []struct {
		name, bytes string
		want        packet.Packet
	}{
		{"SUBSCRIBE sent again", "8a 06  00 0a  00 01 61 01", subscribe},
		{"the upper six bits of a requested QoS", "82 06  00 0a  00 01 61 fd", subscribe},
		{"UNSUBSCRIBE sent again", "aa 05  00 0a  00 01 61", &packet.Unsubscribe{ID: 10, Filters: []string{"a"}}},
		{"PUBREL sent again", "6a 02  00 0a", &packet.Ack{Kind: packet.PUBREL, ID: 10}},
		{"a remaining length in more bytes than it takes", "c0 80 80 00", &packet.Pingreq{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := feed(t, server(v3), wire(t, c.bytes))
			require.Nil(t, r.err)
			require.Equal(t, []packet.Packet{c.want}, r.packets)
		})
	}
	r := feed(t, client(v3), wire(t, "20 02  ff 00")) // the first byte of CONNACK is not used
	require.Nil(t, r.err)
	require.Equal(t, []packet.Packet{&packet.Connack{}}, r.packets)
}

func TestError_says_what_was_wrong(t *testing.T) {
	r := feed(t, server(v4), wire(t, "30 04  00 03 61 62"))
	require.EqualError(t, r.err, "parse PUBLISH: truncated: a field reaches past the end of the packet")
	require.Equal(t, packet.MalformedPacket, r.err.Fault.Info().Code)
}

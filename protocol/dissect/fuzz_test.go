// SPDX-License-Identifier: Apache-2.0

package dissect_test

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"emqttd/protocol/dissect"
	"emqttd/protocol/packet"
	"emqttd/protocol/parser"
	"emqttd/protocol/serializer"
)

// FuzzDissect holds against the parser: the same packets with the same values,
// however the bytes are cut; every byte in exactly one field; no field faulty
// in a packet that the parser accepts.
func FuzzDissect(f *testing.F) {
	for _, name := range []string{"connect_tcp.hex", "connect_websocket.hex", "connack.hex", "pingreq.hex", "pingresp.hex"} {
		data := bytes.Join(seed(f, name), nil)
		f.Add(byte(0), false, data, []byte{1, 1, 2})
		f.Add(byte(1), true, data, []byte{3})
	}
	for _, b := range []string{
		"10 20 0004 4d515454 05 ec 0000 05 11 0000000a 0001 61 05 18 00000003 0001 77 0002 6869 0001 70",
		"34 10 0003 612f62 0007 07 23 0001 26 0001 6b 0000 78",
		"82 0a 0001 03 0b 80 01 0002 612f 1d", "90 05 0001 00 01 80", "20 08 01 00 05 11 00000001", "e0 02 04 00",
		"f0 0b 18 09 15 0001 6d 16 0002 7365", "a2 06 0009 00 0001 61", "b0 04 0001 00 11", "50 04 0001 10 00", "20 02 00 01",
	} {
		f.Add(byte(2), false, wire(f, b), []byte{1})
		f.Add(byte(2), true, wire(f, b), []byte{2, 1})
	}
	f.Fuzz(func(t *testing.T, version byte, fromServer bool, data, cuts []byte) {
		v := []packet.Version{packet.V31, packet.V311, packet.V5}[version%3]
		role, first := parser.Server, hello(t, v)
		if fromServer {
			role, first = parser.Client, nil
		}
		s := dissect.NewStream(role, 0)
		if fromServer {
			s.SetVersion(v)
		}
		data = append(first, data...)
		var got []dissect.Packet
		for i := range len(cuts) + 1 {
			n := len(data)
			if i < len(cuts) {
				n = min(int(cuts[i]), n)
			}
			if err := s.Feed(data[:n], func(p dissect.Packet) { got = append(got, p) }); err != nil {
				require.ErrorIs(t, err, dissect.ErrNotMQTT)
				break
			}
			data = data[n:]
		}
		p := parser.New(parser.Options{Role: role})
		if fromServer {
			p = parser.New(parser.Options{Role: role, Version: v})
		}
		for _, d := range got {
			requireCovered(t, d)
			next, pkt, rest, err := p.Parse(d.Bytes, nil)
			require.Equal(t, err, d.Err)
			if err != nil {
				continue
			}
			require.NotNil(t, pkt)
			require.Empty(t, rest)
			require.Equal(t, next.Version(), d.Version)
			require.Equal(t, pkt.Type(), d.Type)
			for _, f := range d.Fields {
				require.NotEqual(t, dissect.Faulty, f.Kind, "%q of %x", f.Name, d.Bytes)
			}
			want := parsed(pkt, d.Version, d.Bytes[0])
			require.Equal(t, withoutCodes(want, pkt.Type(), d.Version), withoutCodes(shown(d), pkt.Type(), d.Version))
			p = next
		}
	})
}

// hello is a CONNECT: a server's stream learns the version from it.
func hello(t *testing.T, v packet.Version) []byte {
	b, err := serializer.Append(nil, &packet.Connect{Version: v, CleanStart: true, ClientID: "c"}, v)
	require.NoError(t, err)
	return b
}

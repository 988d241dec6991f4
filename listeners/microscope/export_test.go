// SPDX-License-Identifier: Apache-2.0

package microscope_test

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"emqttd/listeners/microscope"
)

// recorded is the article's connection from beginning to end.
func recorded(t *testing.T) (*scope, []*microscope.Event) {
	s := newScope(t, limits())
	id := s.open(s.b.WS(), microscope.Upgrade{Key: "MTMtMTU0NDE1NjY2MjM2NA=="})
	s.send(id, microscope.Order{Packet: connect(), Cut: microscope.Cut{How: "fields"}})
	s.packet(id, "CONNACK", 0)
	s.send(id, microscope.Order{Packet: &microscope.Spec{Type: "SUBSCRIBE", Filters: []microscope.FilterSpec{{Filter: "a/#", QoS: 1}}}})
	s.packet(id, "SUBACK", 0)
	s.send(id, microscope.Order{Packet: &microscope.Spec{Type: "PUBLISH", Topic: "a/b", Payload: "hello"}})
	s.packet(id, "PUBLISH", 0)
	s.send(id, microscope.Order{Packet: &microscope.Spec{Type: "PINGREQ"}, Key: "8f065d55"})
	s.packet(id, "PINGRESP", 0)
	s.send(id, microscope.Order{Packet: &microscope.Spec{Type: "DISCONNECT"}})
	s.closed(id)
	return s, s.events(id)
}

func TestTextIsWhatTheArticleCopiedOutOfWireshark(t *testing.T) {
	_, events := recorded(t)
	var b strings.Builder
	require.NoError(t, microscope.Text(&b, events))
	for _, want := range []string{
		"    GET /mqtt HTTP/1.1\n",
		"    Sec-WebSocket-Key: MTMtMTU0NDE1NjY2MjM2NA==\n",
		"    base64(SHA-1(MTMtMTU0NDE1NjY2MjM2NA== + 258EAFA5-E914-47DA-95CA-C5AB0DC85B11))\n      = base64(a42e624950071787646029c0eab0345437c4a6e2)\n      = pC5iSVAHF4dkYCnA6rA0VDfEpuI=, the server says pC5iSVAHF4dkYCnA6rA0VDfEpuI=\n",
		"{more, want 51 bytes: body}\n",
		"{more, want 51 bytes: body}, says the broker\n",
		"MQTT CONNECT 861694030142473, 53 bytes in 13 frames\n    00000000  10 33 00 04 4d 51 54 54  04 c2 00 3c 00 0f 38 36  |.3..MQTT...<..86|\n",
		"    002d    8  password                         8 bytes\n",
		"    header   82 82 8f 06 5d 55\n    masked\n    00000000  4f 06                                             |O.|\n    payload\n    00000000  c0 00 ",
	} {
		require.Contains(t, b.String(), want)
	}
}

func TestPcapngHoldsWholeAndRightPackets(t *testing.T) {
	_, events := recorded(t)
	var b bytes.Buffer
	require.NoError(t, microscope.Pcapng(&b, events, microscope.LayerWebSocket))
	kinds, packets := blocks(t, b.Bytes())
	require.Equal(t, []uint32{0x0a0d0d0a, 1, 6}, kinds[:3])
	seq := map[uint16]uint32{}
	for _, p := range packets {
		ip := p[14:]
		require.EqualValues(t, 0x45, ip[0])
		require.Equal(t, len(ip), int(binary.BigEndian.Uint16(ip[2:])))
		require.Zero(t, sum(ip[:20]), "checksum of IP")
		tcp := ip[20:]
		pseudo := append(bytes.Clone(ip[12:20]), 0, 6, byte(len(tcp)>>8), byte(len(tcp)))
		require.Zero(t, sum(append(pseudo, tcp...)), "checksum of TCP")
		port, s := binary.BigEndian.Uint16(tcp), binary.BigEndian.Uint32(tcp[4:])
		if want, ok := seq[port]; ok {
			require.Equal(t, want, s)
		}
		seq[port] = s + uint32(len(tcp)-20)
		if tcp[13]&3 != 0 {
			seq[port]++
		}
	}
	require.Len(t, seq, 2)
}

// blocks takes a capture apart.
func blocks(t *testing.T, b []byte) (kinds []uint32, packets [][]byte) {
	le := binary.LittleEndian
	for len(b) > 0 {
		n := le.Uint32(b[4:])
		require.Zero(t, n%4)
		require.Equal(t, n, le.Uint32(b[n-4:]))
		kinds = append(kinds, le.Uint32(b))
		if le.Uint32(b) == 6 {
			packets = append(packets, b[28:28+le.Uint32(b[20:])])
		}
		b = b[n:]
	}
	return kinds, packets
}

func sum(b []byte) uint16 {
	var s uint32
	for i, x := range b {
		if i%2 == 0 {
			s += uint32(x) << 8
		} else {
			s += uint32(x)
		}
	}
	for s > 0xffff {
		s = s&0xffff + s>>16
	}
	return ^uint16(s)
}

// TestWiresharkReadsTheCapture asks tshark, where it is installed, for what the
// article shows of Wireshark.
func TestWiresharkReadsTheCapture(t *testing.T) {
	path, err := exec.LookPath("tshark")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("tshark is required where CI is set: apt-get install tshark")
		}
		t.Skip("tshark is not installed")
	}
	_, events := recorded(t)
	same := func(a string) string { return a }
	v6 := func(a string) string {
		return netip.AddrPortFrom(netip.MustParseAddr("::1"), netip.MustParseAddrPort(a).Port()).String()
	}
	websocket := []string{"GET /mqtt HTTP/1.1", "101 Switching Protocols", "WebSocket Binary [FIN] [MASKED]\t\t8f065d55", "Connection Close"}
	mqtt := []string{"Connect Command\t861694030142473", "Connect Ack", "Subscribe Request", "Subscribe Ack", "Publish Message",
		"Ping Request", "Ping Response", "Disconnect Req"}
	for _, tt := range []struct {
		name    string
		layer   microscope.Layer
		rewrite func(string) string
		want    []string
	}{
		{"WebSocket", microscope.LayerWebSocket, same, websocket}, {"WebSocket over IPv6", microscope.LayerWebSocket, v6, websocket},
		{"MQTT", microscope.LayerMQTT, same, mqtt}, {"MQTT over IPv6", microscope.LayerMQTT, v6, mqtt},
	} {
		t.Run(tt.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "capture.pcapng")
			f, err := os.Create(file)
			require.NoError(t, err)
			require.NoError(t, microscope.Pcapng(f, elsewhere(events, tt.rewrite), tt.layer))
			require.NoError(t, f.Close())
			out, err := exec.Command(path, "-r", file, "-o", "tcp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE", "-T", "fields",
				"-e", "_ws.col.Protocol", "-e", "_ws.col.Info", "-e", "mqtt.clientid", "-e", "websocket.masking_key", "-e", "_ws.expert.message").CombinedOutput()
			text := string(out)
			require.NoError(t, err, text)
			for _, want := range tt.want {
				require.Contains(t, text, want)
			}
			require.NotContains(t, strings.ToLower(text), "checksum")
			require.NotContains(t, strings.ToLower(text), "malformed")
		})
	}
}

// elsewhere are the events with other addresses.
func elsewhere(events []*microscope.Event, rewrite func(string) string) (out []*microscope.Event) {
	for _, e := range events {
		e := *e
		if e.State != nil && e.State.Local != "" {
			s := *e.State
			s.Local, s.Remote = rewrite(s.Local), rewrite(s.Remote)
			e.State = &s
		}
		out = append(out, &e)
	}
	return out
}

func TestACaptureOfNothingIsACapture(t *testing.T) {
	var b bytes.Buffer
	require.NoError(t, microscope.Pcapng(&b, []*microscope.Event{{At: time.Now(), State: &microscope.State{Phase: microscope.Dialing}}}, microscope.LayerMQTT))
	kinds, packets := blocks(t, b.Bytes())
	require.Equal(t, []uint32{0x0a0d0d0a, 1}, kinds)
	require.Empty(t, packets)
}

func TestPreviewShowsWhatWouldBeSent(t *testing.T) {
	m := microscope.New(microscope.Options{Limits: limits(), Doors: func() []microscope.Door { return nil }})
	defer m.Close()
	p, err := m.Preview(microscope.Order{Packet: connect(), Cut: microscope.Cut{How: "fields"}}, "")
	require.NoError(t, err)
	require.Equal(t, dehex(t, articleConnect), p.Bytes)
	require.Equal(t, []int{1, 1, 2, 4, 1, 1, 2, 2, 15, 2, 12, 2, 8}, p.Pieces)
	require.Equal(t, "CONNECT 861694030142473", p.Title)
	require.Empty(t, p.Fault)
	p, err = m.Preview(microscope.Order{Bytes: "82 05 0000 0001 61"}, "3.1.1")
	require.NoError(t, err)
	require.NotEmpty(t, p.Fault)
	for _, bad := range []microscope.Order{
		{Bytes: "zz"}, {}, {Packet: &microscope.Spec{Type: "CONNACK"}}, {Packet: &microscope.Spec{Type: "CONNECT", Version: "4"}},
		{Packet: &microscope.Spec{Type: "PUBLISH", PayloadHex: "1"}},
	} {
		_, err := m.Preview(bad, "5.0")
		var refused *microscope.RefusedError
		require.ErrorAs(t, err, &refused, "%+v", bad)
	}
}

// SPDX-License-Identifier: Apache-2.0

package microscope_test

import (
	"context"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"emqttd/listeners/microscope"
)

// answering is a server that says one thing to whoever connects.
func answering(t *testing.T, text string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			var b [4096]byte
			_, _ = c.Read(b[:])
			_, _ = c.Write([]byte(text))
			_ = c.Close()
		}
	}()
	return "ws://" + l.Addr().String() + "/mqtt"
}

func TestAFailedUpgradeIsExplained(t *testing.T) {
	s := newScope(t, limits())
	accept := "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
	good := "Sec-WebSocket-Accept: pC5iSVAHF4dkYCnA6rA0VDfEpuI=\r\n"
	for _, tt := range []struct {
		name, url string
		upgrade   microscope.Upgrade
		want      string
	}{
		{"another sub-protocol", s.b.WS(), microscope.Upgrade{Protocol: str("foo")}, "The server refused with 400. It says:"},
		{"no sub-protocol", s.b.WS(), microscope.Upgrade{Protocol: str("")}, "The server refused with 400. It says:"},
		{"an old version", s.b.WS(), microscope.Upgrade{Version: "8"}, "The server refused with 426. It says:"},
		{"another path", s.b.WS() + "/x", microscope.Upgrade{}, "The server refused with 404. It says:"},
		{"a foreign origin", s.b.WS(), microscope.Upgrade{Headers: []microscope.Header{{Name: "Origin", Value: "http://elsewhere.example"}}}, "The server refused with 403. It says:"},
		{"plain MQTT", "ws://" + s.b.TCP() + "/mqtt", microscope.Upgrade{}, "The server closed the connection."},
		{"TLS where there is none", "wss://" + s.b.Addr("listeners.ws.default").String() + "/mqtt", microscope.Upgrade{}, "does not speak TLS"},
		{"a web server", answering(t, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"), microscope.Upgrade{}, "an ordinary web server"},
		{"a redirection", answering(t, "HTTP/1.1 302 Found\r\nLocation: https://x.example/\r\n\r\n"), microscope.Upgrade{}, `"https://x.example/"`},
		{"a proxy without a broker", answering(t, "HTTP/1.1 502 Bad Gateway\r\n\r\n"), microscope.Upgrade{}, "the broker behind may be down"},
		{"no HTTP at all", answering(t, "\x20\x02\x00\x00 hello"), microscope.Upgrade{}, "not HTTP"},
		{"101 without the sum", answering(t, accept+"\r\n"), microscope.Upgrade{}, "without Sec-WebSocket-Accept"},
		{"101 with a wrong sum", answering(t, accept+good+"\r\n"), microscope.Upgrade{}, "Sec-WebSocket-Accept is wrong"},
		{"101 without sub-protocol", answering(t, accept+good+"\r\n"), microscope.Upgrade{Key: "MTMtMTU0NDE1NjY2MjM2NA=="}, "does not say that it speaks MQTT"},
		{"101 with an extension", answering(t, accept+good+"Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n"), microscope.Upgrade{Key: "MTMtMTU0NDE1NjY2MjM2NA=="}, "an extension that was not offered"},
		{"nobody", "ws://127.0.0.1:1/mqtt", microscope.Upgrade{}, "Nobody listens"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			id := s.open(tt.url, tt.upgrade)
			require.Contains(t, s.closed(id), tt.want)
			require.NoError(t, s.Forget(admin, tabName, id))
		})
	}
}

func TestBadFramesEndTheConnectionWithAReason(t *testing.T) {
	s := newScope(t, limits())
	head := "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Protocol: mqtt\r\n" +
		"Sec-WebSocket-Accept: pC5iSVAHF4dkYCnA6rA0VDfEpuI=\r\n\r\n"
	for name, tt := range map[string]struct{ frame, want string }{
		"masked":         {"\x82\x82abcd\x00\x00", "must not mask"},
		"compressed":     {"\xc2\x02\xd0\x00", "reserved bit"},
		"unknown opcode": {"\x83\x00", "opcode is reserved"},
		"text":           {"\x81\x02hi", "binary frames"},
		"long ping":      {"\x89\x7e\x00\x80" + string(make([]byte, 128)), "control frame"},
		"too large":      {"\x82\x7f\x00\x00\x00\x01\x00\x00\x00\x00", "frame too large"},
		"close":          {"\x88\x06\x03\xf0text", "code 1008 (policy): text"},
	} {
		t.Run(name, func(t *testing.T) {
			id := s.open(answering(t, head+tt.frame), microscope.Upgrade{Key: "MTMtMTU0NDE1NjY2MjM2NA=="})
			require.Contains(t, s.closed(id), tt.want)
			require.NoError(t, s.Forget(admin, tabName, id))
		})
	}
}

func TestWhoMayLookWhere(t *testing.T) {
	s := newScope(t, limits())
	_, port, err := net.SplitHostPort(s.b.Addr("listeners.ws.default").String())
	require.NoError(t, err)
	own := func(host string) string { return "ws://" + net.JoinHostPort(host, port) + "/mqtt" }
	far := func(v microscope.Viewer) *microscope.Viewer {
		v.Local, v.Host, v.Here = false, "broker.example", netip.MustParseAddr("192.0.2.7")
		return &v
	}
	narrow := limits()
	narrow.OtherHosts = false
	closed := microscope.New(microscope.Options{Limits: narrow, Doors: s.b.Doors})
	defer closed.Close()
	for _, tt := range []struct {
		name string
		m    *microscope.Microscope
		who  *microscope.Viewer
		url  string
		want string // "": allowed
	}{
		{"a viewer, the own listener", s.Microscope, viewer, own("localhost"), ""},
		{"by another loopback name", s.Microscope, viewer, own("127.0.0.2"), ""},
		{"a viewer from elsewhere, a listener for this machine only", s.Microscope, far(*viewer), own("broker.example"), "for this machine only"},
		{"an administrator from elsewhere", s.Microscope, far(*admin), own("broker.example"), ""},
		{"a viewer, another port", s.Microscope, viewer, "ws://localhost:1/mqtt", "for administrators"},
		{"a viewer, another host", s.Microscope, viewer, "ws://192.0.2.1/mqtt", "for administrators"},
		{"an administrator here, another port of this machine", s.Microscope, admin, "ws://127.0.0.1:1/", ""},
		{"an administrator elsewhere, another port of this machine", s.Microscope, far(*admin), "ws://127.0.0.1:1/", "does not connect to"},
		{"the same in IPv6 clothes", s.Microscope, far(*admin), "ws://[::ffff:127.0.0.1]:1/", "does not connect to"},
		{"where clouds keep credentials", s.Microscope, admin, "ws://169.254.169.254/", "does not connect to"},
		{"link-local of IPv6", s.Microscope, admin, "ws://[fe80::1]/", "does not connect to"},
		{"multicast", s.Microscope, admin, "ws://224.0.0.1/", "does not connect to"},
		{"no address", s.Microscope, admin, "ws://0.0.0.0:1/", "does not connect to"},
		{"an unknown name", s.Microscope, admin, "ws://nowhere.invalid/", "is not known"},
		{"where the configuration forbids it", closed, admin, "ws://192.0.2.1/", "turned off"},
		{"another scheme", s.Microscope, admin, "http://localhost/", "ws://host:8083/mqtt"},
		{"no host", s.Microscope, admin, "ws:///mqtt", "ws://host:8083/mqtt"},
		{"a user name", s.Microscope, admin, "ws://u:p@localhost/", "CONNECT"},
		{"a port that is none", s.Microscope, admin, "ws://localhost:0/", "between 1 and 65535"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, err := tt.m.Open(t.Context(), tt.who, tabName, microscope.Ask{URL: tt.url})
			if tt.want == "" {
				require.NoError(t, err)
				require.NoError(t, tt.m.Forget(tt.who, tabName, c.ID))
				return
			}
			var refused *microscope.RefusedError
			require.ErrorAs(t, err, &refused)
			require.Contains(t, refused.Text, tt.want)
		})
	}
	_, err = s.Open(t.Context(), viewer, tabName, microscope.Ask{URL: own("localhost"), Upgrade: microscope.Upgrade{
		Headers: []microscope.Header{{Name: "X", Value: "a\r\nY: b"}}}})
	require.ErrorContains(t, err, "no line ends")
}

func TestATabIsItsOwners(t *testing.T) {
	s := newScope(t, limits())
	id := s.open(s.b.WS(), microscope.Upgrade{})
	_, err := s.Events(viewer, tabName, id, microscope.Nothing)
	require.ErrorContains(t, err, "no such connection", "the name of another user's tab opens nothing")
	require.Error(t, s.Send(viewer, tabName, id, microscope.Order{Packet: connect()}))
	_, err = s.List(admin, "short")
	require.ErrorContains(t, err, "random name")

	s.send(id, microscope.Order{Packet: connect(), Cut: microscope.Cut{How: "fields"}})
	s.packet(id, "CONNACK", 0)
	s.send(id, microscope.Order{Bytes: "30 09 0001 74 7365"}) // the rest is still to come
	s.until(id, "half a packet", func(e *microscope.Event) bool { return e.Frame != nil && e.Frame.Out && len(e.Frame.Payload) == 7 })
	all := s.Others()
	require.Len(t, all, 1)
	for _, k := range []microscope.Mask{microscope.Passwords, microscope.Contents} {
		events, err := s.OthersEvents(all[0].Serial, k)
		require.NoError(t, err)
		var out []byte
		for _, e := range events {
			if e.Frame != nil && e.Frame.Out {
				out = append(out, e.Frame.Payload...)
			}
			if e.Packet != nil && e.Packet.Out {
				require.Contains(t, string(e.Packet.Bytes), "libaineu2004\x00\x08********")
			}
		}
		require.Equal(t, string(dehex(t, articleConnect)[:45])+"********"+"*******", string(out), "what is not understood is covered, too")
	}
	require.Contains(t, string(s.frames(id, true)[12].Payload), "12345678", "the recording itself is as it was")
}

func TestBounds(t *testing.T) {
	l := limits()
	l.MaxBytes = 8 << 10
	s := newScope(t, l)
	var ids []string
	for range l.MaxConnections {
		ids = append(ids, s.open(s.b.WS(), microscope.Upgrade{}))
	}
	_, err := s.Open(t.Context(), admin, tabName, microscope.Ask{URL: s.b.WS()})
	require.ErrorContains(t, err, "max_connections")
	require.NoError(t, s.Hangup(admin, tabName, ids[1], true))
	s.closed(ids[1])
	ids[1] = s.open(s.b.WS(), microscope.Upgrade{}) // the closed one has made room
	_, err = s.Open(t.Context(), admin, tabName, microscope.Ask{URL: s.b.WS()})
	require.ErrorContains(t, err, "max_connections")
	for range l.MaxTotal - l.MaxConnections {
		_, err = s.Open(t.Context(), viewer, tabName, microscope.Ask{URL: s.b.WS()})
		require.NoError(t, err)
	}
	_, err = s.Open(t.Context(), viewer, tabName, microscope.Ask{URL: s.b.WS()})
	require.ErrorContains(t, err, "max_total")

	id := ids[0]
	require.ErrorContains(t, s.Send(admin, tabName, id, microscope.Order{Bytes: ""}), "nothing to send")
	big := &microscope.Spec{Type: "PUBLISH", Topic: "t", Payload: string(make([]byte, l.MaxPacket))}
	require.ErrorContains(t, s.Send(admin, tabName, id, microscope.Order{Packet: big}), "max_packet")
	s.send(id, microscope.Order{Packet: connect()})
	for range 40 {
		s.send(id, microscope.Order{Packet: &microscope.Spec{Type: "PINGREQ"}})
	}
	s.until(id, "an event without those before it", func(e *microscope.Event) bool { return e.Seq > 60 })
	size := 0
	for _, id := range ids {
		size += len(s.events(id)) * 256
	}
	require.LessOrEqual(t, size, l.MaxBytes, "the oldest events make room")
	for _, how := range []microscope.Cut{{How: "count", N: 0}, {How: "count", N: 99}, {How: "size"}, {How: "x"}, {PauseMS: -1}} {
		var refused *microscope.RefusedError
		require.ErrorAs(t, s.Send(admin, tabName, id, microscope.Order{Packet: &microscope.Spec{Type: "PINGREQ"}, Cut: how}), &refused)
	}
}

func TestATabThatNobodyLooksAtIsClosed(t *testing.T) {
	l := limits()
	l.Idle = 50 * time.Millisecond
	s := newScope(t, l)
	// While somebody follows, the tab stays.
	ctx, cancel := context.WithCancel(t.Context())
	followed := make(chan error, 1)
	got := make(chan *microscope.Event, 100)
	go func() {
		followed <- s.Follow(ctx, viewer, tabName, 0, func(events []*microscope.Event, _ uint64) error {
			for _, e := range events {
				got <- e
			}
			return nil
		})
	}()
	c, err := s.Open(t.Context(), viewer, tabName, microscope.Ask{URL: s.b.WS()})
	require.NoError(t, err)
	var last uint64
	for e := range got {
		require.Equal(t, last+1, e.Seq)
		last = e.Seq
		if e.State != nil && e.State.Phase == microscope.Open {
			break
		}
	}
	require.Equal(t, c.ID, s.Others()[0].ID)
	cancel()
	require.NoError(t, <-followed)
	require.Eventually(t, func() bool { return len(s.Others()) == 0 }, patience, 10*time.Millisecond)
	require.Eventually(t, func() bool { return s.b.Metrics().Connections.Load() == 0 }, patience, 10*time.Millisecond)
}

// SPDX-License-Identifier: Apache-2.0

package microscope_test

import (
	"bytes"
	"encoding/json"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"emqttd/listeners/microscope"
	"emqttd/listeners/ws"
	"emqttd/protocol/client"
	"emqttd/protocol/packet"
)

const (
	secret  = "the password"
	message = "the message"
)

// phone is a client of the broker that is watched.
type phone struct {
	t  testing.TB
	nc net.Conn
	c  *client.Conn
}

// join connects a client, with a password.
func join(t testing.TB, nc net.Conn) *phone {
	t.Helper()
	t.Cleanup(func() { _ = nc.Close() })
	p := &phone{t, nc, client.New(nc, client.Options{})}
	p.send(&packet.Connect{Version: packet.V5, ClientID: "phone", CleanStart: true, HasUsername: true, Username: "u", HasPassword: true, Password: []byte(secret)})
	p.want(packet.CONNACK)
	return p
}

func (p *phone) send(q packet.Packet) {
	p.t.Helper()
	require.NoError(p.t, p.c.Send(q))
}

func (p *phone) want(kind packet.Type) {
	p.t.Helper()
	q, err := p.c.Receive(p.t.Context())
	require.NoError(p.t, err)
	require.Equal(p.t, kind, q.Type())
}

// ping is a packet to the broker and back: everything before it is through.
func (p *phone) ping() {
	p.t.Helper()
	p.send(&packet.Pingreq{})
	p.want(packet.PINGRESP)
}

// talk subscribes, publishes and hears what was published.
func (p *phone) talk() {
	p.t.Helper()
	p.send(&packet.Subscribe{ID: 1, Subscriptions: []packet.Subscription{{Filter: "room/#"}}})
	p.want(packet.SUBACK)
	p.send(&packet.Publish{Topic: []byte("room/4"), Payload: []byte(message)})
	p.want(packet.PUBLISH)
	p.ping()
}

// watch begins to watch the phone and returns the connection in the tab.
func (s *scope) watch(g microscope.Glance) string {
	s.t.Helper()
	g.Client = "phone"
	v, err := s.Watch(s.t.Context(), admin, tabName, g)
	require.NoError(s.t, err)
	require.Equal(s.t, "phone", v.Client)
	return v.ID
}

func (s *scope) note(id, text string) {
	s.t.Helper()
	s.until(id, text, func(e *microscope.Event) bool { return e.Note != nil && strings.Contains(e.Note.Text, text) })
}

// everything is what a user can get of a connection: its events and its files.
func (s *scope) everything(id string) []byte {
	s.t.Helper()
	var all bytes.Buffer
	events := s.events(id)
	for _, e := range events {
		text, err := json.Marshal(e)
		require.NoError(s.t, err)
		_, _ = all.Write(text)
		if e.Frame != nil {
			_, _ = all.Write(e.Frame.Payload)
		}
		if e.Packet != nil {
			_, _ = all.Write(e.Packet.Bytes)
		}
	}
	require.NoError(s.t, microscope.Text(&all, events))
	require.NoError(s.t, microscope.Pcapng(&all, events, microscope.LayerWebSocket))
	require.NoError(s.t, microscope.Pcapng(&all, events, microscope.LayerMQTT))
	return all.Bytes()
}

// seen are the packets of a connection, -> what the client sent.
func (s *scope) seen(id string) (all []string) {
	for _, e := range s.events(id) {
		if e.Packet != nil {
			all = append(all, map[bool]string{true: "-> ", false: "<- "}[e.Packet.Out]+e.Packet.Title)
		}
	}
	return all
}

// dials are the ways to a broker.
func dials(t *testing.T) map[string]func(*scope) net.Conn {
	web := func(compressed bool) func(*scope) net.Conn {
		return func(s *scope) net.Conn {
			nc, err := ws.Dial(t.Context(), s.b.WS(), nil, &ws.DialOptions{Compression: compressed})
			require.NoError(t, err)
			return nc
		}
	}
	return map[string]func(*scope) net.Conn{"tcp": func(s *scope) net.Conn { return s.b.Conn() }, "websocket": web(false), "websocket, compressed": web(true)}
}

func TestAClientIsWatched(t *testing.T) {
	for name, dial := range dials(t) {
		t.Run(name, func(t *testing.T) {
			s := newScope(t, limits(), "listeners.ws.default.compression=true")
			p := join(t, dial(s))
			id := s.watch(microscope.Glance{})
			p.talk()
			s.packet(id, "PINGRESP", 0)
			require.Equal(t, []string{"-> SUBSCRIBE #1 room/#", "<- SUBACK #1 granted qos 0", "-> PUBLISH room/4", "<- PUBLISH room/4", "-> PINGREQ", "<- PINGRESP"},
				s.seen(id))
			for _, f := range s.frames(id, true) {
				require.Equal(t, name == "websocket", !f.Bare)
				require.Equal(t, !f.Bare, f.Masked)
			}
			require.Len(t, s.frames(id, true), 3)
			require.NotContains(t, string(s.everything(id)), message, "covered before it is kept")
			require.ErrorContains(t, s.Send(admin, tabName, id, microscope.Order{Bytes: "c000"}), "watched and not used")

			bare := s.watch(microscope.Glance{Reveal: true, Actors: true})
			p.send(&packet.Publish{Topic: []byte("room/4"), Payload: []byte(message)})
			p.want(packet.PUBLISH)
			require.Contains(t, string(s.packet(bare, "PUBLISH", 0).Bytes), message)
			s.until(bare, "actors", func(e *microscope.Event) bool { return e.Hop != nil && e.Hop.Kind == "session" })
			require.NoError(t, s.Hangup(admin, tabName, bare, true))
			require.Contains(t, s.closed(bare), "the client stays connected")
			p.ping()
			s.packet(id, "PINGRESP", 1)
			require.NoError(t, p.nc.Close())
			require.Contains(t, s.closed(id), "peer closed")
		})
	}
}

// TestWatchingBeginsWithAPacket: what has begun before nobody could take apart, or
// cover.
func TestWatchingBeginsWithAPacket(t *testing.T) {
	s := newScope(t, limits())
	p := join(t, s.b.Conn())
	publish := []byte("\x32\x11\x00\x01t\x00\x01\x00" + message) // QoS 1
	require.NoError(t, p.c.SendRaw(append([]byte("\xc0\x00"), publish[:12]...)))
	p.want(packet.PINGRESP) // what was written together is read together
	id := s.watch(microscope.Glance{})
	require.NoError(t, p.c.SendRaw(publish[12:]))
	p.want(packet.PUBACK)
	p.ping()
	s.packet(id, "PINGRESP", 0)
	require.Equal(t, []string{"<- PUBACK #1 no matching subscribers", "-> PINGREQ", "<- PINGRESP"}, s.seen(id)[:3])
	s.note(id, "Passed over: 7 bytes from the client.")
	require.NotContains(t, string(s.everything(id)), message[4:])
}

func TestAClientThatIsTooFastIsNotSlowedDown(t *testing.T) {
	l := limits()
	l.MaxRate, l.MaxPacket = 1<<10, 4<<10
	s := newScope(t, l)
	p := join(t, s.b.Conn())
	id := s.watch(microscope.Glance{Reveal: true})
	p.send(&packet.Publish{Topic: []byte("t"), Payload: make([]byte, 1<<10)})
	s.until(id, "PUBLISH", func(e *microscope.Event) bool { return e.Packet != nil && e.Packet.Type == "PUBLISH" })
	for range 100 {
		p.send(&packet.Publish{Topic: []byte("t"), Payload: make([]byte, 1<<10)})
	}
	p.ping()
	require.Less(t, len(s.everything(id)), 100<<10*6)
	passed := func(e *microscope.Event) bool {
		return e.Note != nil && strings.HasPrefix(e.Note.Text, "Passed over: ") && strings.HasSuffix(e.Note.Text, " bytes from the client.")
	}
	for !slices.ContainsFunc(s.events(id), passed) { // said with the next packet that there is room for
		p.ping()
	}
}

// TestWhatIsTooLargeIsPassedOver: a packet above the microscope's bound, and one
// that is none.
func TestWhatIsTooLargeIsPassedOver(t *testing.T) {
	for name, dial := range dials(t) {
		t.Run(name, func(t *testing.T) {
			l := limits()
			l.MaxPacket = 4 << 10
			s := newScope(t, l)
			p := join(t, dial(s))
			id := s.watch(microscope.Glance{Reveal: true})
			p.send(&packet.Publish{Topic: []byte("t"), QoS: packet.QoS1, ID: 7, Payload: make([]byte, 8<<10)})
			p.want(packet.PUBACK)
			p.ping()
			s.packet(id, "PINGRESP", 0)
			seen := s.seen(id)
			require.Contains(t, seen, "<- PUBACK #7 no matching subscribers")
			require.Contains(t, seen, "-> PINGREQ", "it goes on behind it")
		})
	}
}

func TestWhoMayWatch(t *testing.T) {
	b, as := served(t)
	eve, root := as("eve"), as("root")
	p := join(t, b.Conn())
	status, text := eve.ask("POST", "/watches", microscope.Glance{Client: "phone"})
	require.Equal(t, http.StatusForbidden, status, text)
	status, text = root.ask("POST", "/watches", microscope.Glance{Client: "nobody"})
	require.Equal(t, http.StatusUnprocessableEntity, status)
	require.Contains(t, text, `No client \"nobody\" is connected.`)
	next := root.events()
	root.done("POST", "/watches", microscope.Glance{Client: "phone", Reveal: true})
	require.Contains(t, root.done("GET", "/connections", nil), `"client_id":"phone"`)
	require.Equal(t, "[]\n", eve.done("GET", "/connections", nil))
	p.talk()
	for e := next(); e.Packet == nil || !bytes.Contains(e.Packet.Bytes, []byte(message)); e = next() {
		require.Equal(t, "1", e.Conn)
	}
	require.Contains(t, root.done("GET", "/connections/1/recording", nil), message[:4])
	audit := (&rest{t, strings.TrimSuffix(root.base, "/microscope"), "root", ""}).done("GET", "/audit?action=microscope.watch", nil)
	require.Contains(t, audit, `"client_id":"phone","revealed":true`)
	require.Contains(t, audit, `"user":"eve"`)
	require.NotContains(t, audit, message)
}

// TestWhoIsNoAdministratorAnyMoreSeesNothingMore of what was watched.
func TestWhoIsNoAdministratorAnyMoreSeesNothingMore(t *testing.T) {
	s := newScope(t, limits())
	p := join(t, s.b.Conn())
	id := s.watch(microscope.Glance{Reveal: true})
	p.talk()
	s.packet(id, "PINGRESP", 0)
	less := *admin
	less.Admin = false
	all, err := s.List(&less, tabName)
	require.NoError(t, err)
	require.Empty(t, all)
	_, err = s.Events(&less, tabName, id, microscope.Nothing)
	require.Error(t, err)
	_, err = s.Watch(t.Context(), &less, tabName, microscope.Glance{Client: "phone"})
	require.ErrorContains(t, err, "administrators")
	p.ping()
}

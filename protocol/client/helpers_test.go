// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"encoding/hex"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"emqttd/protocol/packet"
	"emqttd/protocol/serializer"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bubble runs a test on the virtual clock: it waits for nothing but what it
// waits for, and every goroutine must have ended when it returns.
func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, f)
}

// network is where a Client under test dials; each dial comes out at accept.
type network struct {
	t     *testing.T
	dials chan net.Conn

	mu    sync.Mutex
	fail  error       // of the next dials
	times []time.Time // of all dials
}

// fails makes the next dials fail with err; nil: succeed.
func (n *network) fails(err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.fail = err
}

func newNetwork(t *testing.T) *network { return &network{t: t, dials: make(chan net.Conn, 8)} }

func (n *network) dial(context.Context) (net.Conn, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.times = append(n.times, time.Now())
	if n.fail != nil {
		return nil, n.fail
	}
	a, b := net.Pipe()
	n.dials <- b
	return a, nil
}

// server is a scripted server: what it wants must come, in order.
type server struct {
	t *testing.T
	*Conn
}

func (n *network) accept() *server {
	nc := <-n.dials
	return &server{t: n.t, Conn: New(nc, Options{Server: true})}
}

func (s *server) receive() packet.Packet {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Hour)
	defer cancel()
	p, err := s.Receive(ctx)
	require.NoError(s.t, err)
	return p
}

// wants compares encodings, so that nil and empty are the same.
func (s *server) wants(want packet.Packet) {
	s.t.Helper()
	got := s.receive()
	require.Equal(s.t, encoding(s.t, want, s.Version()), encoding(s.t, got, s.Version()), "want %#v, got %#v", want, got)
}

func (s *server) wantsClose() {
	s.t.Helper()
	p, err := s.Receive(s.t.Context())
	require.Error(s.t, err, "%#v", p)
}

func (s *server) sends(ps ...packet.Packet) {
	s.t.Helper()
	for _, p := range ps {
		require.NoError(s.t, s.Send(p))
	}
}

// greets takes CONNECT and accepts it.
func (s *server) greets(answer *packet.Connack) *packet.Connect {
	s.t.Helper()
	c, ok := s.receive().(*packet.Connect)
	require.True(s.t, ok)
	if answer == nil {
		answer = &packet.Connack{}
	}
	s.sends(answer)
	return c
}

func encoding(t *testing.T, p packet.Packet, v packet.Version) string {
	t.Helper()
	b, err := serializer.Append(nil, p, v)
	require.NoError(t, err)
	return hex.EncodeToString(b)
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	require.NoError(t, err)
	return b
}

// connected is a client with its server behind CONNECT and CONNACK.
func connected(t *testing.T, cfg Config, answer *packet.Connack) (*Client, *server, *network) {
	t.Helper()
	n := newNetwork(t)
	cfg.Dial = n.dial
	c, err := NewClient(cfg)
	require.NoError(t, err)
	return c, reconnected(t, c, n, answer), n
}

func reconnected(t *testing.T, c *Client, n *network, answer *packet.Connack) *server {
	t.Helper()
	var s *server
	greeted := make(chan struct{})
	go func() {
		defer close(greeted)
		s = n.accept()
		s.greets(answer)
	}()
	_, err := c.Connect(t.Context())
	require.NoError(t, err)
	<-greeted
	return s
}

// ends closes the client from both sides and waits for its goroutines.
func ends(t *testing.T, c *Client, s *server) {
	t.Helper()
	require.NoError(t, c.Close())
	<-c.Done()
	if s != nil {
		require.NoError(t, s.Close())
	}
}

func v(version packet.Version) packet.Connect {
	return packet.Connect{Version: version, ClientID: "c"}
}

// persistent is a CONNECT whose session outlives its connections.
func persistent(version packet.Version) packet.Connect {
	c := v(version)
	if version == packet.V5 {
		c.Properties = new(packet.Properties).Set(packet.PropSessionExpiry)
		c.Properties.SessionExpiry = 3600
	}
	return c
}

var versions = []packet.Version{packet.V31, packet.V311, packet.V5}

// eachVersion runs f once for each protocol version, on the virtual clock.
func eachVersion(t *testing.T, f func(t *testing.T, v packet.Version)) {
	for _, version := range versions {
		t.Run(version.String(), func(t *testing.T) {
			bubble(t, func(t *testing.T) { f(t, version) })
		})
	}
}

func publish(qos packet.QoS, id packet.ID, topic, payload string) *packet.Publish {
	return &packet.Publish{QoS: qos, ID: id, Topic: []byte(topic), Payload: []byte(payload)}
}

func dup(p *packet.Publish) *packet.Publish {
	p.Dup = true
	return p
}

func ack(kind packet.Type, id packet.ID) *packet.Ack { return &packet.Ack{Kind: kind, ID: id} }

func ackCode(kind packet.Type, id packet.ID, code packet.ReasonCode) *packet.Ack {
	return &packet.Ack{Kind: kind, ID: id, Code: code}
}

func props(set ...func(*packet.Properties)) *packet.Properties {
	p := new(packet.Properties)
	for _, f := range set {
		f(p)
	}
	return p
}

func receiveMaximum(n uint16) func(*packet.Properties) {
	return func(p *packet.Properties) { p.Set(packet.PropReceiveMaximum).ReceiveMaximum = n }
}

func maximumPacketSize(n uint32) func(*packet.Properties) {
	return func(p *packet.Properties) { p.Set(packet.PropMaximumPacketSize).MaximumPacketSize = n }
}

func aliasMaximum(n uint16) func(*packet.Properties) {
	return func(p *packet.Properties) { p.Set(packet.PropTopicAliasMaximum).TopicAliasMaximum = n }
}

func alias(n uint16) func(*packet.Properties) {
	return func(p *packet.Properties) { p.Set(packet.PropTopicAlias).TopicAlias = n }
}

// results collects the ends of asynchronous publishes.
type results chan Result

func (r results) add(x Result) { r <- x }

// SPDX-License-Identifier: Apache-2.0

package broker_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"emqttd/listeners/ws"
	"emqttd/protocol/client"
	"emqttd/protocol/packet"
	"emqttd/protocol/serializer"
	"emqttd/supervisor/broker"
	"emqttd/supervisor/broker/brokertest"
	"emqttd/supervisor/cell"
)

// patience is how long a test waits for something that must happen.
const patience = 10 * time.Second

// transports are the ways in that most chapters are played on.
var transports = []string{"tcp", "ws"}

// open opens a connection to a broker over a transport; the test's end closes it.
func open(t testing.TB, b *brokertest.Broker, transport string) net.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var nc net.Conn
	var err error
	if transport == "ws" {
		nc, err = ws.Dial(ctx, b.WS(), nil, nil)
	} else {
		nc, err = net.Dial("tcp", b.TCP())
	}
	require.NoError(t, err)
	t.Cleanup(func() { _ = nc.Close() })
	return nc
}

// peer is a client that sends what it is told, packet by packet, and says what
// came back.
type peer struct {
	t testing.TB
	*client.Conn
}

// speak makes a peer of a connection that has not said CONNECT yet.
func speak(t testing.TB, nc net.Conn, v packet.Version) *peer {
	return &peer{t, client.New(nc, client.Options{Version: v})}
}

// join connects over TCP and expects to be let in.
func join(t testing.TB, b *brokertest.Broker, c *packet.Connect) *peer {
	t.Helper()
	return enter(t, open(t, b, "tcp"), c)
}

// enter sends CONNECT over nc and expects to be let in.
func enter(t testing.TB, nc net.Conn, c *packet.Connect) *peer {
	t.Helper()
	p, ack := present(t, nc, c)
	require.Equal(t, packet.Success, ack.Code)
	return p
}

// present sends CONNECT over nc and returns the CONNACK.
func present(t testing.TB, nc net.Conn, c *packet.Connect) (*peer, *packet.Connack) {
	t.Helper()
	if c.Version == 0 {
		c.Version = packet.V311
	}
	p := speak(t, nc, c.Version)
	p.send(c)
	return p, want[*packet.Connack](p)
}

// clean is a CONNECT with a clean start and no keep alive.
func clean(v packet.Version, id string) *packet.Connect {
	return &packet.Connect{Version: v, CleanStart: true, ClientID: id}
}

// kept is a CONNECT of a session that outlives its connection.
func kept(v packet.Version, id string) *packet.Connect {
	c := &packet.Connect{Version: v, ClientID: id}
	if v == packet.V5 {
		c.Properties = props(packet.PropSessionExpiry, func(q *packet.Properties) { q.SessionExpiry = 3600 })
	}
	return c
}

// props is one property, set by set.
func props(id packet.Property, set func(*packet.Properties)) *packet.Properties {
	q := new(packet.Properties)
	set(q.Set(id))
	return q
}

func (p *peer) send(packets ...packet.Packet) {
	p.t.Helper()
	for _, q := range packets {
		require.NoError(p.t, p.Send(q))
	}
}

// next is the next packet, or the error that ended the connection.
func (p *peer) next() (packet.Packet, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return p.Receive(ctx)
}

// want is the next packet, which must be of type T.
func want[T packet.Packet](p *peer) T {
	p.t.Helper()
	q, err := p.next()
	require.NoError(p.t, err)
	out, ok := q.(T)
	require.True(p.t, ok, "unexpected %s: %+v", q.Type(), q)
	return out
}

// subscribe subscribes to filters at a QoS and waits for the SUBACK, which must
// be the next packet.
func (p *peer) subscribe(qos packet.QoS, filters ...string) *packet.Suback {
	p.t.Helper()
	s := &packet.Subscribe{ID: 65000}
	for _, f := range filters {
		s.Subscriptions = append(s.Subscriptions, packet.Subscription{Filter: f, QoS: qos})
	}
	p.send(s)
	ack := want[*packet.Suback](p)
	require.Equal(p.t, s.ID, ack.ID)
	return ack
}

// publish publishes and, for QoS 1 and 2, sees the exchange through. It must be
// the only thing going on on the connection.
func (p *peer) publish(qos packet.QoS, id packet.ID, topic, payload string) {
	p.t.Helper()
	p.send(pub(qos, id, topic, payload))
	switch qos {
	case packet.QoS1:
		require.Equal(p.t, id, p.ack(packet.PUBACK).ID)
	case packet.QoS2:
		require.Equal(p.t, id, p.ack(packet.PUBREC).ID)
		p.send(&packet.Ack{Kind: packet.PUBREL, ID: id})
		require.Equal(p.t, id, p.ack(packet.PUBCOMP).ID)
	}
}

func pub(qos packet.QoS, id packet.ID, topic, payload string) *packet.Publish {
	if qos == packet.QoS0 {
		id = 0
	}
	return &packet.Publish{QoS: qos, ID: id, Topic: []byte(topic), Payload: []byte(payload)}
}

func retained(p *packet.Publish) *packet.Publish {
	p.Retain = true
	return p
}

// ack is the next packet, which must be an acknowledgement of the kind.
func (p *peer) ack(kind packet.Type) *packet.Ack {
	p.t.Helper()
	a := want[*packet.Ack](p)
	require.Equal(p.t, kind, a.Kind)
	return a
}

// message is the next packet, a PUBLISH, whose exchange is seen through.
func (p *peer) message() *packet.Publish {
	p.t.Helper()
	m := want[*packet.Publish](p)
	switch m.QoS {
	case packet.QoS1:
		p.send(&packet.Ack{Kind: packet.PUBACK, ID: m.ID})
	case packet.QoS2:
		p.send(&packet.Ack{Kind: packet.PUBREC, ID: m.ID})
		require.Equal(p.t, m.ID, p.ack(packet.PUBREL).ID)
		p.send(&packet.Ack{Kind: packet.PUBCOMP, ID: m.ID})
	}
	return m
}

// hears expects a message.
func (p *peer) hears(topic, payload string) *packet.Publish {
	p.t.Helper()
	m := p.message()
	require.Equal(p.t, topic+" "+payload, string(m.Topic)+" "+string(m.Payload))
	return m
}

// fence is a PINGREQ and its answer: whatever the broker had to say before has
// been read, and there must be nothing.
func (p *peer) fence() {
	p.t.Helper()
	p.send(&packet.Pingreq{})
	want[*packet.Pingresp](p)
}

// leave is DISCONNECT and the close that follows.
func (p *peer) leave() {
	p.t.Helper()
	p.send(&packet.Disconnect{})
	p.closed()
}

// closed expects that the broker closes without another word.
func (p *peer) closed() {
	p.t.Helper()
	q, err := p.next()
	require.Error(p.t, err, "unexpected packet %+v", q)
	require.True(p.t, hungUp(err), "%v", err)
	_ = p.Close()
}

// turnedOut expects a DISCONNECT with a code (before 5.0: none) and the close.
func (p *peer) turnedOut(code packet.ReasonCode) {
	p.t.Helper()
	if p.Version() == packet.V5 {
		require.Equal(p.t, code, want[*packet.Disconnect](p).Code)
	}
	p.closed()
}

// hungUp reports whether err is the end of a connection rather than of patience.
func hungUp(err error) bool {
	var closed *ws.CloseError
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) ||
		errors.Is(err, syscall.EPIPE) || errors.As(err, &closed)
}

// eventually waits for a condition that something else brings about.
func eventually(t testing.TB, why string, ok func() bool) {
	t.Helper()
	require.Eventually(t, ok, patience, time.Millisecond, why)
}

// kindOf is an actor kind of the broker, with its counters.
func kindOf(b *broker.Broker, name string) *cell.Kind {
	for k := range b.Kinds {
		if k.Name == name {
			return k
		}
	}
	panic("no actor kind " + name)
}

// settled waits until no actor of a connection is left.
func settled(t testing.TB, b *brokertest.Broker) {
	t.Helper()
	for _, name := range []string{"ws_loop", "ws_client", "protocol"} {
		k := kindOf(b.Broker, name)
		eventually(t, name+" actors are left", func() bool { return k.Cells.Load() == 0 })
	}
	eventually(t, "connected clients are counted", func() bool { return b.Metrics().Connected.Load() == 0 })
	eventually(t, "sockets are open", func() bool { return b.Metrics().Connections.Load() == 0 })
}

// authority signs the certificates of one test.
type authority struct {
	t    testing.TB
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool

	until time.Time // of the certificates that it signs; zero: a year
}

func newAuthority(t testing.TB) *authority {
	a := &authority{t: t, pool: x509.NewCertPool()}
	der, key := a.sign(&x509.Certificate{Subject: pkix.Name{CommonName: "test authority"}, IsCA: true,
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	var err error
	a.cert, err = x509.ParseCertificate(der)
	require.NoError(t, err)
	a.key = key
	a.pool.AddCert(a.cert)
	return a
}

func (a *authority) sign(c *x509.Certificate) ([]byte, *ecdsa.PrivateKey) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(a.t, err)
	c.SerialNumber, err = rand.Int(rand.Reader, big.NewInt(1<<60))
	require.NoError(a.t, err)
	c.NotBefore, c.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(365*24*time.Hour)
	if !a.until.IsZero() {
		c.NotAfter = a.until
	}
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, signer)
	require.NoError(a.t, err)
	return der, key
}

// files writes a certificate for 127.0.0.1 with the common name, and its key,
// into dir.
func (a *authority) files(dir, name string) (cert, key string) {
	der, k := a.sign(&x509.Certificate{Subject: pkix.Name{CommonName: name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}})
	pkcs8, err := x509.MarshalPKCS8PrivateKey(k)
	require.NoError(a.t, err)
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	writeFile(a.t, cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	writeFile(a.t, key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}))
	return cert, key
}

func (a *authority) config() *tls.Config {
	return &tls.Config{RootCAs: a.pool, ServerName: "127.0.0.1"}
}

func writeFile(t testing.TB, path string, b []byte) {
	t.Helper()
	require.NoError(t, os.WriteFile(path, b, 0o600))
}

// encode is the bytes of a packet, in 3.1.1 unless it is a CONNECT of another.
func encode(t testing.TB, p packet.Packet) []byte {
	t.Helper()
	v := packet.V311
	if c, ok := p.(*packet.Connect); ok {
		v = c.Version
	}
	return encodeAs(t, v, p)
}

func encodeAs(t testing.TB, v packet.Version, p packet.Packet) []byte {
	t.Helper()
	b, err := serializer.Append(nil, p, v)
	require.NoError(t, err)
	return b
}

// pem is the authority's certificate.
func (a *authority) pem() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw})
}

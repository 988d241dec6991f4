// SPDX-License-Identifier: Apache-2.0

package tls

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func echo(data []byte) []byte { return data }

var versions = map[string]uint16{"1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13}

// both runs f for TLS 1.2 and 1.3 with a client configuration of a.
func both(t *testing.T, a *authority, name string, f func(t *testing.T, c *tls.Config)) {
	for v, id := range versions {
		t.Run(v, func(t *testing.T) {
			c := a.client(name)
			c.MinVersion, c.MaxVersion = id, id
			f(t, c)
		})
	}
}

func TestEchoHoweverReadsAreCut(t *testing.T) {
	a := newAuthority(t, "ca")
	server := a.server(Config{})
	for name, cut := range map[string]func() int{"whole": whole, "byte by byte": oneByte, "random": random()} {
		t.Run(name, func(t *testing.T) {
			both(t, a, "", func(t *testing.T, c *tls.Config) {
				addr, done := (&loop{t: t, server: server, cut: cut, app: echo}).start()
				conn, err := tls.Dial("tcp", addr, c)
				require.NoError(t, err)
				var sent []byte
				for i, size := range []int{1, 100, 100, 40000, 3, 40000} {
					msg := bytes.Repeat([]byte{byte('a' + i)}, size)
					sent = append(sent, msg...)
					wrote := make(chan error)
					go func() { _, err := conn.Write(msg); wrote <- err }()
					got := make([]byte, size)
					_, err := io.ReadFull(conn, got)
					require.NoError(t, err)
					require.True(t, bytes.Equal(msg, got))
					require.NoError(t, <-wrote) // else Close would break it off
				}
				require.NoError(t, conn.Close())
				r := <-done
				require.Equal(t, io.EOF, r.err, "close_notify")
				require.True(t, bytes.Equal(sent, r.data))
				require.Equal(t, tls.VersionName(c.MaxVersion), r.info.Version)
				require.Equal(t, "localhost", r.info.ServerName)
				require.Nil(t, r.info.Peer)
			})
		})
	}
}

// TestBytesBehindTheHandshakeAreKept: a client may send with its Finished.
func TestBytesBehindTheHandshakeAreKept(t *testing.T) {
	a := newAuthority(t, "ca")
	both(t, a, "", func(t *testing.T, c *tls.Config) {
		addr, done := (&loop{t: t, server: a.server(Config{})}).start()
		raw, err := net.Dial("tcp", addr)
		require.NoError(t, err)
		held := &gathered{Conn: raw}
		conn := tls.Client(held, c)
		require.NoError(t, conn.Handshake())
		held.hold = true
		for range 50 {
			_, err = conn.Write([]byte("early "))
			require.NoError(t, err)
		}
		require.NoError(t, conn.CloseWrite())
		held.flush()
		r := <-done
		require.Equal(t, io.EOF, r.err)
		require.Equal(t, strings.Repeat("early ", 50), string(r.data))
	})
}

// gathered holds back the last writes of a handshake so that they leave with
// what is written behind it.
type gathered struct {
	net.Conn
	writes int
	hold   bool
	buf    []byte
}

func (g *gathered) Write(b []byte) (int, error) {
	if g.writes++; g.writes == 1 { // ClientHello
		return g.Conn.Write(b)
	}
	g.buf = append(g.buf, b...)
	return len(b), nil
}

// Read lets go of what was held if the handshake needs an answer to it.
func (g *gathered) Read(b []byte) (int, error) {
	if len(g.buf) > 0 && !g.hold {
		g.flush()
	}
	return g.Conn.Read(b)
}

// SetWriteDeadline does nothing: crypto/tls sets it to now behind its alert.
func (g *gathered) SetWriteDeadline(time.Time) error { return nil }

func (g *gathered) flush() {
	g.Conn.Write(g.buf)
	g.buf = nil
}

func TestClientCertificates(t *testing.T) {
	a, foreign := newAuthority(t, "ca"), newAuthority(t, "foreign")
	cases := []struct {
		name  string
		auth  ClientAuth
		by    *authority // nil: no certificate
		label string     // empty: let in
		cn    string
	}{
		{"required and given", ClientAuthRequire, a, "", "alice"},
		{"required and missing", ClientAuthRequire, nil, "no_client_certificate", ""},
		{"required, by a foreign authority", ClientAuthRequire, foreign, "client_certificate", ""},
		{"requested and given", ClientAuthRequest, a, "", "alice"},
		{"requested and missing", ClientAuthRequest, nil, "", ""},
		{"requested, by a foreign authority", ClientAuthRequest, foreign, "client_certificate", ""},
		{"not asked for", ClientAuthNone, a, "", ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			both(t, a, "", func(t *testing.T, cfg *tls.Config) {
				if c.by != nil { // shown whatever authorities the server asks for
					pair := c.by.client("alice").Certificates[0]
					cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
				}
				addr, done := (&loop{t: t, server: a.server(Config{CAFile: a.file, ClientAuth: c.auth}), app: echo}).start()
				conn, err := tls.Dial("tcp", addr, cfg)
				if err == nil { // in 1.3 the client is done before the server looks at its certificate
					conn.Write([]byte("hello"))
					_, err = io.ReadFull(conn, make([]byte, 5))
					conn.Close()
				}
				r := <-done
				if c.label != "" {
					require.ErrorContains(t, err, "remote error", "the alert reaches the client")
					require.Equal(t, c.label, r.err.(*Error).Label)
					return
				}
				require.NoError(t, err)
				require.Equal(t, io.EOF, r.err)
				if c.cn == "" {
					require.Nil(t, r.info.Peer)
					return
				}
				require.Equal(t, c.cn, r.info.Peer.CommonName)
				require.Equal(t, "CN=alice,O=test", r.info.Peer.Subject)
				require.Len(t, r.info.Peer.Fingerprint, 64)
			})
		})
	}
}

func TestResumptionKeepsTheIdentity(t *testing.T) {
	a := newAuthority(t, "ca")
	both(t, a, "alice", func(t *testing.T, c *tls.Config) {
		c.ClientSessionCache = tls.NewLRUClientSessionCache(4)
		server := a.server(Config{CAFile: a.file, ClientAuth: ClientAuthRequire})
		visit := func() Info {
			addr, done := (&loop{t: t, server: server, app: echo}).start()
			conn, err := tls.Dial("tcp", addr, c)
			require.NoError(t, err)
			conn.Write([]byte("hello"))
			_, err = io.ReadFull(conn, make([]byte, 5)) // reads the ticket as well
			require.NoError(t, err)
			conn.Close()
			r := <-done
			require.Equal(t, "alice", r.info.Peer.CommonName)
			return r.info
		}
		require.False(t, visit().Resumed)
		require.True(t, visit().Resumed)
		require.NoError(t, server.Reload())
		require.False(t, visit().Resumed, "a reload makes certificates be shown again")
	})
}

func TestWhatIsNoTLSIsRefusedAtOnce(t *testing.T) {
	a := newAuthority(t, "ca")
	server := a.server(Config{})
	for _, c := range []struct{ name, bytes, label, answer string }{
		{"MQTT", "\x10", "plain_mqtt", ""},
		{"HTTP", "G", "plain_http", "HTTP/1.0 400 Bad Request\r\n"},
		{"noise", "\x00", "not_tls", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			pool := NewPool(1, 1)
			h := NewHandshake(server, pool, 1<<16, func() { t.Error("woken") })
			err := h.Feed([]byte(c.bytes))
			require.Equal(t, c.label, err.(*Error).Label)
			require.True(t, strings.HasPrefix(string(h.Output(nil)), c.answer))
			require.Zero(t, pool.Open())
			h.Cancel()
			require.NoError(t, h.Feed([]byte("more")))
		})
	}
}

func TestBadHandshakes(t *testing.T) {
	a := newAuthority(t, "ca")
	for _, c := range []struct {
		name  string
		cfg   Config
		bytes string
		label string
	}{
		{"right type, wrong version", Config{}, "\x16\x19\x09\x00\x01\x01", "not_tls"},
		{"record too long", Config{}, "\x16\x03\x01\xff\xff\x01", "not_tls"},
		{"no ClientHello", Config{}, "\x16\x03\x01\x00\x04\x02\x00\x00\x00", "protocol"},
		{"application data first", Config{}, "\x16\x03\x01\x00\x01\x01\x17\x03\x03\x00\x01\x00", "not_tls"},
	} {
		t.Run(c.name, func(t *testing.T) {
			addr, done := (&loop{t: t, server: a.server(c.cfg)}).start()
			conn, err := net.Dial("tcp", addr)
			require.NoError(t, err)
			defer conn.Close()
			conn.Write([]byte(c.bytes))
			r := <-done
			require.Equal(t, c.label, r.err.(*Error).Label, "%v", r.err)
		})
	}
	t.Run("version too old", func(t *testing.T) {
		addr, done := (&loop{t: t, server: a.server(Config{MinVersion: "1.3"})}).start()
		c := a.client("")
		c.MaxVersion = tls.VersionTLS12
		_, err := tls.Dial("tcp", addr, c)
		require.ErrorContains(t, err, "remote error")
		require.Equal(t, "version", (<-done).err.(*Error).Label)
	})
	t.Run("client does not trust us", func(t *testing.T) {
		addr, done := (&loop{t: t, server: a.server(Config{})}).start()
		raw, err := net.Dial("tcp", addr)
		require.NoError(t, err)
		defer raw.Close()
		err = tls.Client(raw, newAuthority(t, "other").client("")).Handshake()
		require.ErrorContains(t, err, "unknown authority")
		require.Equal(t, "peer_alert", (<-done).err.(*Error).Label)
	})
}

func TestAHandshakeThatIsTooLargeIsRefused(t *testing.T) {
	a := newAuthority(t, "ca")
	server, pool := a.server(Config{}), NewPool(1, 1)
	h := NewHandshake(server, pool, 100, func() { t.Error("woken") })
	require.NoError(t, h.Feed([]byte("\x16\x03\x01\x10\x00")))
	require.Equal(t, errTooLarge, h.Feed(make([]byte, 100)), "its ClientHello")

	addr, done := (&loop{t: t, server: server, limit: 100}).start()
	_, err := tls.Dial("tcp", addr, a.client(""))
	require.Error(t, err)
	require.Equal(t, errTooLarge, (<-done).err, "a ClientHello in one piece counts when more is wanted")
}

func TestCorruptRecord(t *testing.T) {
	a := newAuthority(t, "ca")
	both(t, a, "", func(t *testing.T, c *tls.Config) {
		addr, done := (&loop{t: t, server: a.server(Config{}), cut: oneByte, app: echo}).start()
		raw, err := net.Dial("tcp", addr)
		require.NoError(t, err)
		conn := tls.Client(raw, c)
		_, err = conn.Write([]byte("good"))
		require.NoError(t, err)
		_, err = io.ReadFull(conn, make([]byte, 4))
		require.NoError(t, err)
		raw.Write([]byte("\x17\x03\x03\x00\x20" + strings.Repeat("x", 32)))
		_, err = conn.Read(make([]byte, 1))
		require.ErrorContains(t, err, "bad record MAC", "the alert reaches the client")
		r := <-done
		require.Equal(t, "bad_record", r.err.(*Error).Label)
		require.Equal(t, "good", string(r.data))
	})
}

func TestAbruptClose(t *testing.T) {
	a := newAuthority(t, "ca")
	for name, talk := range map[string]func(raw net.Conn, conn *tls.Conn){
		"inside the ClientHello":  func(raw net.Conn, _ *tls.Conn) { raw.Write([]byte("\x16\x03\x01\x01\x00\x01")) },
		"behind the handshake":    func(_ net.Conn, conn *tls.Conn) { conn.Handshake() },
		"inside a record":         func(raw net.Conn, conn *tls.Conn) { conn.Handshake(); raw.Write([]byte("\x17\x03\x03\x00\x20x")) },
		"without a single byte":   func(net.Conn, *tls.Conn) {},
		"between its two flights": func(raw net.Conn, conn *tls.Conn) { tls.Client(deaf{raw}, a.client("")).Handshake() },
	} {
		t.Run(name, func(t *testing.T) {
			l := &loop{t: t, server: a.server(Config{}), pool: NewPool(2, 1)}
			addr, done := l.start()
			raw, err := net.Dial("tcp", addr)
			require.NoError(t, err)
			talk(raw, tls.Client(raw, a.client("")))
			raw.Close()
			require.NoError(t, (<-done).err)
			for range cap(l.pool.open) { // every goroutine has ended, or this waits for ever
				l.pool.open <- struct{}{}
			}
		})
	}
}

// deaf is a connection that hears nothing.
type deaf struct{ net.Conn }

func (deaf) Read([]byte) (int, error) { return 0, io.EOF }

func TestPoolIsBounded(t *testing.T) {
	a := newAuthority(t, "ca")
	server, pool := a.server(Config{}), NewPool(1, 1)
	hello := clientHello(t, a.client(""))

	woken := make(chan struct{}, 10)
	first := NewHandshake(server, pool, 1<<16, func() { woken <- struct{}{} })
	for i := range hello[:len(hello)-1] { // a beginning alone costs no goroutine
		require.NoError(t, first.Feed(hello[i:i+1]))
		require.Zero(t, pool.Open())
	}
	require.NoError(t, first.Feed(hello[len(hello)-1:]))
	<-woken
	require.NotEmpty(t, first.Output(nil), "the server's flight; it waits for the client's now")
	require.Equal(t, 1, pool.Open())
	_, _, ok := first.Done()
	require.False(t, ok)

	second := NewHandshake(server, pool, 1<<16, func() { t.Error("woken") })
	require.Equal(t, "busy", second.Feed(hello).(*Error).Label)
	second.Cancel()

	first.Cancel()
	first.Cancel()
	pool.open <- struct{}{} // waits for the place
	<-pool.open
	third := NewHandshake(server, pool, 1<<16, func() { woken <- struct{}{} })
	require.NoError(t, third.Feed(hello), "a waiting handshake computes nothing: the one token is free")
	<-woken
	third.Cancel()
}

// clientHello is the first flight of a client.
func clientHello(t *testing.T, c *tls.Config) []byte {
	var w wire
	require.Error(t, tls.Client(&w, c).Handshake()) // has nothing to read
	require.NotEmpty(t, w.out)
	return w.out
}

func TestReload(t *testing.T) {
	a := newAuthority(t, "ca")
	cfg := Config{}
	cfg.CertFile, cfg.KeyFile = a.issue("broker")
	server, err := NewServer(cfg)
	require.NoError(t, err)
	old := server.Certificate().SerialNumber

	visit := func() *tls.Conn {
		addr, _ := (&loop{t: t, server: server, app: echo}).start()
		conn, err := tls.Dial("tcp", addr, a.client(""))
		require.NoError(t, err)
		return conn
	}
	talk := func(conn *tls.Conn) {
		conn.Write([]byte("x"))
		_, err := io.ReadFull(conn, make([]byte, 1))
		require.NoError(t, err)
	}
	before := visit()
	a.issue("broker") // writes the same files
	require.NoError(t, server.Reload())
	after := visit()
	require.NotEqual(t, old, server.Certificate().SerialNumber)
	require.Equal(t, server.Certificate().SerialNumber, after.ConnectionState().PeerCertificates[0].SerialNumber)
	talk(before)
	talk(after)

	require.NoError(t, os.WriteFile(cfg.CertFile, []byte("broken"), 0o600))
	require.ErrorContains(t, server.Reload(), cfg.CertFile)
	talk(visit())
}

// TestStale: a change is seen once nobody writes any more, and what was read in
// vain is worth another look.
func TestStale(t *testing.T) {
	a := newAuthority(t, "ca")
	cfg := Config{}
	cfg.CertFile, cfg.KeyFile = a.issue("broker")
	server, err := NewServer(cfg)
	require.NoError(t, err)
	now := time.Now().Add(time.Hour)
	write := func(b string, age time.Duration) {
		require.NoError(t, os.WriteFile(cfg.CertFile, []byte(b), 0o600))
		require.NoError(t, os.Chtimes(cfg.CertFile, now.Add(-age), now.Add(-age)))
	}
	require.False(t, server.Stale(now))
	good, err := os.ReadFile(cfg.CertFile)
	require.NoError(t, err)
	write("broken", time.Second)
	require.False(t, server.Stale(now), "it may still be written")
	write("broken", 3*time.Second)
	require.True(t, server.Stale(now))
	require.Error(t, server.Reload())
	require.True(t, server.Stale(now), "read in vain")
	write(string(good), 3*time.Second)
	require.True(t, server.Stale(now))
	require.NoError(t, server.Reload())
	require.False(t, server.Stale(now))
	write(string(good), -time.Hour)
	require.True(t, server.Stale(now), "a clock that was wrong")
	require.NoError(t, server.Reload())
	require.NoError(t, os.Remove(cfg.CertFile))
	require.True(t, server.Stale(now))
}

func TestConfigIsRefused(t *testing.T) {
	a := newAuthority(t, "ca")
	cert, key := a.issue("broker")
	_, other := a.issue("other")
	empty := a.write("empty.pem", "NOTHING", nil)
	for name, c := range map[string]struct {
		cfg  Config
		want string
	}{
		"no files":               {Config{}, "cert_file and key_file"},
		"missing file":           {Config{CertFile: cert + "x", KeyFile: key}, "no such file"},
		"key of another":         {Config{CertFile: cert, KeyFile: other}, "does not match"},
		"unknown client_auth":    {Config{CertFile: cert, KeyFile: key, ClientAuth: "maybe"}, "write none, request or require"},
		"client_auth without CA": {Config{CertFile: cert, KeyFile: key, ClientAuth: ClientAuthRequire}, "needs ca_file"},
		"missing CA":             {Config{CertFile: cert, KeyFile: key, CAFile: cert + "x"}, "no such file"},
		"CA without certificate": {Config{CertFile: cert, KeyFile: key, CAFile: empty}, "no certificate in"},
		"unknown version":        {Config{CertFile: cert, KeyFile: key, MinVersion: "1.1"}, "write 1.2 or 1.3"},
	} {
		_, err := NewServer(c.cfg)
		require.ErrorContains(t, err, c.want, name)
	}
}

func TestPanicInACallbackCostsOneConnection(t *testing.T) {
	a := newAuthority(t, "ca")
	server := a.server(Config{})
	broken := server.current.Load().Clone()
	broken.VerifyConnection = func(tls.ConnectionState) error { panic("boom") }
	server.current.Store(broken)
	l := &loop{t: t, server: server, pool: NewPool(1, 1)}
	addr, done := l.start()
	conn, err := tls.Dial("tcp", addr, a.client(""))
	if err == nil {
		conn.Read(make([]byte, 1))
	}
	e := (<-done).err.(*Error)
	require.Equal(t, "boom", e.Panic)
	require.NotEmpty(t, e.Stack)

	require.NoError(t, server.Reload())
	addr, done = (&loop{t: t, server: server, pool: l.pool, app: echo}).start()
	conn, err = tls.Dial("tcp", addr, a.client(""))
	require.NoError(t, err, "the pool has its tokens back")
	conn.Write([]byte("x"))
	_, err = io.ReadFull(conn, make([]byte, 1))
	require.NoError(t, err)
	conn.Close()
	require.Equal(t, io.EOF, (<-done).err)
}

func TestCloseIsTheLastWord(t *testing.T) {
	a := newAuthority(t, "ca")
	both(t, a, "", func(t *testing.T, c *tls.Config) {
		s, conn := connected(t, a.server(Config{}), c)
		out, err := s.AppendEncrypted([]byte(nil), []byte("bye"))
		require.NoError(t, err)
		out = s.AppendClose(out)
		conn.wire.src = out
		got, err := io.ReadAll(conn.Conn)
		require.NoError(t, err, "close_notify")
		require.Equal(t, "bye", string(got))

		require.Empty(t, s.AppendClose(nil))
		out, err = s.AppendEncrypted(nil, []byte("late"))
		require.Empty(t, out)
		require.Equal(t, errClosed, err)
		_, _, err = s.Feed([]byte("late"), nil, nil)
		require.Equal(t, errClosed, err)
	})
}

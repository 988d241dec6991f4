// SPDX-License-Identifier: Apache-2.0

package tls

import (
	"cmp"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	mathrand "math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// authority signs the certificates of one test.
type authority struct {
	t    testing.TB
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string
}

func newAuthority(t testing.TB, name string) *authority {
	a := &authority{t: t, dir: t.TempDir()}
	template := &x509.Certificate{Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, key := a.sign(template)
	a.cert, _ = x509.ParseCertificate(der)
	a.key = key
	a.file = a.write("ca.pem", "CERTIFICATE", der)
	return a
}

var serial int64

// sign makes a key and a certificate for it, signed by a or, before a has a
// certificate of its own, by itself.
func (a *authority) sign(template *x509.Certificate) (der []byte, key *ecdsa.PrivateKey) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(a.t, err)
	serial++
	template.SerialNumber = big.NewInt(serial)
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = template, key
	}
	der, err = x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	require.NoError(a.t, err)
	return der, key
}

// issue writes a certificate for name on loopback and returns its files.
func (a *authority) issue(name string) (certFile, keyFile string) {
	der, key := a.sign(&x509.Certificate{
		Subject:     pkix.Name{CommonName: name, Organization: []string{"test"}},
		DNSNames:    []string{"localhost"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	})
	b, err := x509.MarshalECPrivateKey(key)
	require.NoError(a.t, err)
	return a.write(name+".crt", "CERTIFICATE", der), a.write(name+".key", "EC PRIVATE KEY", b)
}

func (a *authority) write(name, kind string, der []byte) string {
	file := filepath.Join(a.dir, name)
	require.NoError(a.t, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
	return file
}

// client is a configuration that trusts a and shows the certificate of name,
// if any.
func (a *authority) client(name string) *tls.Config {
	c := &tls.Config{RootCAs: x509.NewCertPool(), ServerName: "localhost"}
	c.RootCAs.AddCert(a.cert)
	if name != "" {
		pair, err := tls.LoadX509KeyPair(a.issue(name))
		require.NoError(a.t, err)
		c.Certificates = []tls.Certificate{pair}
	}
	return c
}

// server loads a certificate signed by a into a Server.
func (a *authority) server(cfg Config) *Server {
	cfg.CertFile, cfg.KeyFile = a.issue("broker")
	s, err := NewServer(cfg)
	require.NoError(a.t, err)
	return s
}

// result is how a connection of a test server went.
type result struct {
	info Info
	data []byte
	err  error // of the handshake, or the session
}

// loop is one connection as an event loop would drive it.
type loop struct {
	t      testing.TB
	conn   net.Conn
	server *Server
	pool   *Pool
	limit  int                      // bytes of a handshake; 0: plenty
	cut    func() int               // how reads are cut into calls
	app    func(data []byte) []byte // what the application answers
}

// start accepts one connection at the address returned.
func (l *loop) start() (addr string, done chan result) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(l.t, err)
	if l.pool == nil {
		l.pool = NewPool(8, 1)
	}
	if l.cut == nil {
		l.cut = whole
	}
	done = make(chan result, 1)
	go func() {
		defer listener.Close()
		if l.conn, err = listener.Accept(); err != nil {
			done <- result{err: err}
			return
		}
		defer l.conn.Close()
		done <- l.run()
	}()
	return listener.Addr().String(), done
}

func (l *loop) run() (r result) {
	reads := make(chan []byte)
	stopped := make(chan struct{})
	defer close(stopped)
	go func() {
		defer close(reads)
		for {
			buf := make([]byte, 32<<10)
			n, err := l.conn.Read(buf)
			if err != nil {
				return
			}
			select {
			case reads <- buf[:n]:
			case <-stopped:
				return
			}
		}
	}()
	woken := make(chan struct{}, 1)
	h := NewHandshake(l.server, l.pool, cmp.Or(l.limit, 1<<16), func() {
		select {
		case woken <- struct{}{}:
		default:
		}
	})
	defer h.Cancel()
	var s *Session
	for {
		var chunk []byte
		select {
		case b, ok := <-reads:
			if !ok {
				return r
			}
			chunk = b
		case <-woken:
			l.conn.Write(h.Output(nil))
			var ok bool
			if s, r.err, ok = h.Done(); !ok {
				continue
			} else if r.err != nil {
				return r
			}
			r.info = s.Info()
			if r.err = l.turn(s, nil, &r); r.err != nil {
				return r
			}
		}
		for len(chunk) > 0 {
			n := min(l.cut(), len(chunk))
			part := append([]byte(nil), chunk[:n]...)
			chunk = chunk[n:]
			if s != nil {
				r.err = l.turn(s, part, &r)
			} else if r.err = h.Feed(part); r.err != nil {
				l.conn.Write(h.Output(nil))
			}
			clear(part)
			if r.err != nil {
				return r
			}
		}
	}
}

func (l *loop) turn(s *Session, in []byte, r *result) error {
	data, out, err := s.Feed(in, nil, nil)
	r.data = append(r.data, data...)
	if err == nil && l.app != nil && len(data) > 0 {
		out, err = s.AppendEncrypted(out, l.app(data))
	}
	l.conn.Write(out)
	return err
}

func whole() int   { return 1 << 30 }
func oneByte() int { return 1 }

func random() func() int {
	r := mathrand.New(mathrand.NewPCG(1, 2))
	return func() int { return 1 + r.IntN(600) }
}

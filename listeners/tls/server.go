// SPDX-License-Identifier: Apache-2.0

package tls

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// ClientAuth says what a listener wants to know of its clients.
type ClientAuth string

const (
	ClientAuthNone    ClientAuth = "none"    // ask for no certificate
	ClientAuthRequest ClientAuth = "request" // ask; one that is given must verify
	ClientAuthRequire ClientAuth = "require" // no connection without one that verifies
)

// Config is what a TLS listener is told.
type Config struct {
	CertFile string // PEM, the leaf first, then its intermediates
	KeyFile  string // PEM, of the leaf
	CAFile   string // PEM, who may sign client certificates

	ClientAuth ClientAuth // empty: none
	MinVersion string     // "1.2" or "1.3"; empty: 1.2

	// NextProtos are the application protocols (ALPN) that may be agreed on.
	// If nil every client is taken, whatever it offers.
	NextProtos []string
}

// Server holds the certificates of one listener. It is safe for any number of
// loops.
type Server struct {
	current atomic.Pointer[tls.Config]       // never changed once stored
	first   atomic.Pointer[x509.Certificate] // of its chain, to expire

	mu     sync.Mutex // of those who change what is below; they read files
	cfg    Config
	files  marks // as they were before they were read last
	failed bool  // that they were read in vain
}

// NewServer loads the files of cfg.
func NewServer(cfg Config) (*Server, error) {
	s := &Server{}
	return s, s.Change(cfg)
}

// Reload reads the files again: new connections use what they hold now, those
// that are open go on as they are. If anything is wrong the old certificates
// stay in use and the error says what. Sessions from before cannot be resumed,
// so a client whose authority was taken away must show its certificate again.
func (s *Server) Reload() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.load(s.cfg)
}

// Change is Reload with another configuration, which stays if it is right.
func (s *Server) Change(cfg Config) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.load(cfg)
}

// load reads the files; the caller holds mu.
func (s *Server) load(cfg Config) error {
	before := cfg.marks()
	c, err := cfg.load()
	var first *x509.Certificate
	if err == nil {
		first, err = firstToExpire(&c.Certificates[0])
	}
	if err == nil {
		s.current.Store(c)
		s.first.Store(first)
		s.cfg = cfg
	}
	s.files, s.failed = before, err != nil
	return err
}

// settle is how long a file is left alone after a change: certificate and key are
// mostly written one after the other.
const settle = 2 * time.Second

// Stale reports whether it is worth reading the files at the time now: they are
// others than when they were last read, or that was in vain, and nobody is writing
// them any more.
func (s *Server) Stale(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	is := s.cfg.marks()
	return (s.failed || is != s.files) && !slices.ContainsFunc(is[:], func(m mark) bool {
		return m.at > now.Add(-settle).UnixNano() && m.at <= now.UnixNano() // one from the future would never be left alone
	})
}

// marks tell a file from what was there before under its name: certificate, key
// and authorities.
type marks [3]mark

type mark struct {
	at   int64 // of the change, nanoseconds since 1970; 0: there is none
	size int64
}

func (c *Config) marks() (out marks) {
	for i, path := range []string{c.CertFile, c.KeyFile, c.CAFile} {
		if path == "" {
			continue
		}
		if f, err := os.Stat(path); err == nil {
			out[i] = mark{f.ModTime().UnixNano(), f.Size()}
		}
	}
	return out
}

// Certificate is the leaf that new connections are shown.
func (s *Server) Certificate() *x509.Certificate { return s.current.Load().Certificates[0].Leaf }

// FirstToExpire is the certificate of the chain that new connections are shown
// whose time is over first: mostly the leaf.
func (s *Server) FirstToExpire() *x509.Certificate { return s.first.Load() }

// CertFile is the file that the chain was read from.
func (s *Server) CertFile() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cfg.CertFile
}

func firstToExpire(chain *tls.Certificate) (*x509.Certificate, error) {
	first := chain.Leaf
	for _, der := range chain.Certificate[1:] {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, fmt.Errorf("tls: a certificate behind %s: %w", chain.Leaf.Subject, err)
		}
		if c.NotAfter.Before(first.NotAfter) {
			first = c
		}
	}
	return first, nil
}

// Config is the configuration for net/http: each handshake takes the certificates
// of that moment.
func (s *Server) Config() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: s.current.Load().NextProtos,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return s.current.Load(), nil }}
}

func (c Config) load() (*tls.Config, error) {
	auth, err := c.clientAuth()
	if err != nil {
		return nil, err
	}
	version, err := c.minVersion()
	if err != nil {
		return nil, err
	}
	if c.CertFile == "" || c.KeyFile == "" {
		return nil, errors.New("tls: cert_file and key_file must both be set")
	}
	pair, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("tls: load certificate %s with key %s: %w", c.CertFile, c.KeyFile, err)
	}
	t := &tls.Config{
		Certificates: []tls.Certificate{pair},
		MinVersion:   version,
		ClientAuth:   auth,
		NextProtos:   c.NextProtos,
		// Else the first 128 KiB of each connection leave in small records.
		DynamicRecordSizingDisabled: true,
	}
	if c.CAFile != "" {
		if t.ClientCAs, err = loadPool(c.CAFile); err != nil {
			return nil, err
		}
	}
	return t, nil
}

func (c Config) clientAuth() (tls.ClientAuthType, error) {
	var t tls.ClientAuthType
	switch c.ClientAuth {
	case "", ClientAuthNone:
		return tls.NoClientCert, nil
	case ClientAuthRequest:
		t = tls.VerifyClientCertIfGiven
	case ClientAuthRequire:
		t = tls.RequireAndVerifyClientCert
	default:
		return 0, fmt.Errorf("tls: client_auth is %q: write none, request or require", c.ClientAuth)
	}
	if c.CAFile == "" { // crypto/tls would take every authority the system trusts
		return 0, fmt.Errorf("tls: client_auth %s needs ca_file, the authority that signs the clients' certificates", c.ClientAuth)
	}
	return t, nil
}

func (c Config) minVersion() (uint16, error) {
	switch c.MinVersion {
	case "", "1.2":
		return tls.VersionTLS12, nil
	case "1.3":
		return tls.VersionTLS13, nil
	}
	return 0, fmt.Errorf("tls: min_version is %q: write 1.2 or 1.3", c.MinVersion)
}

func loadPool(file string) (*x509.CertPool, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("tls: load authorities: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(b) {
		return nil, fmt.Errorf("tls: load authorities: no certificate in %s", file)
	}
	return pool, nil
}

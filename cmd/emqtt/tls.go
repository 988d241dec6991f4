// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"os"
	"path/filepath"
	"strings"
)

// tlsSettings are the options about TLS.
type tlsSettings struct {
	on               bool // by a URL
	off              bool // --no-tls
	caFile, caPath   string
	cert, key        string
	osCerts          bool
	insecure         bool
	version, ciphers string
	alpn             string
	psk, identity    string
	keyForm          string
}

func tlsOptions() []option {
	const noEngine = "OpenSSL engines are not supported: give the key as a PEM file with --key."
	return []option{
		{"", "--cafile", 1, "file", text(func(s *settings) *string { return &s.tls.caFile }), "trust the certificates in this PEM file, and use TLS"},
		{"", "--capath", 1, "directory", text(func(s *settings) *string { return &s.tls.caPath }), "trust those in this directory (*.crt, *.pem)"},
		{"", "--tls-use-os-certs", 0, "", flag(func(s *settings) *bool { return &s.tls.osCerts }), "trust the operating system's"},
		{"", "--no-tls", 0, "", flag(func(s *settings) *bool { return &s.tls.off }), "no TLS, even on port 8883"},
		{"", "--cert", 1, "file", text(func(s *settings) *string { return &s.tls.cert }), "client certificate, PEM"},
		{"", "--key", 1, "file", text(func(s *settings) *string { return &s.tls.key }), "its private key, PEM"},
		{"", "--insecure", 0, "", flag(func(s *settings) *bool { return &s.tls.insecure }), "do not compare the server's name with its certificate"},
		{"", "--tls-version", 1, "version", text(func(s *settings) *string { return &s.tls.version }), "tlsv1.1, tlsv1.2 or tlsv1.3; at least 1.2"},
		{"", "--ciphers", 1, "ciphers", text(func(s *settings) *string { return &s.tls.ciphers }), "TLS 1.2 cipher suites, OpenSSL names with colons"},
		{"", "--tls-alpn", 1, "protocol", text(func(s *settings) *string { return &s.tls.alpn }), "protocol to ask for by ALPN"},
		{"", "--keyform", 1, "keyform", text(func(s *settings) *string { return &s.tls.keyForm }), "pem, the only one here"},
		{"", "--psk", 1, "key", text(func(s *settings) *string { return &s.tls.psk }), "not supported"},
		{"", "--psk-identity", 1, "identity", text(func(s *settings) *string { return &s.tls.identity }), "not supported"},
		{"", "--tls-engine", 1, "engine_id", refuse(noEngine), "not supported"},
		{"", "--tls-engine-kpass-sha1", 1, "kpass sha1", refuse(noEngine), "not supported"},
	}
}

func (t *tlsSettings) check() error {
	switch {
	case (t.psk != "" || t.identity != "") && (t.caFile != "" || t.caPath != ""):
		return usage("Only one of --psk or --cafile/--capath may be used at once.")
	case t.psk != "" && t.identity == "":
		return usage("--psk-identity required if --psk used.")
	case t.psk != "" || t.identity != "":
		return usage("TLS-PSK is not supported: Go's TLS has no pre-shared keys. Use --cafile, with --cert and --key.")
	case (t.cert == "") != (t.key == ""):
		return usage("Both certfile and keyfile must be provided if one of them is set.")
	case t.keyForm != "" && t.key == "":
		return usage("If keyform is set, keyfile must be also specified.")
	case t.keyForm != "" && t.keyForm != "pem":
		return usage("Key form %s is not supported: give the key as a PEM file.", t.keyForm)
	}
	return nil
}

// wanted reports whether to speak TLS to port.
func (t *tlsSettings) wanted(port int) bool {
	return !t.off && (t.on || t.osCerts || t.caFile != "" || t.caPath != "" || port == 8883)
}

// config is the TLS configuration for a server called name.
func (t *tlsSettings) config(name string) (*tls.Config, error) {
	c := &tls.Config{ServerName: name, MinVersion: tls.VersionTLS12}
	if t.version != "" {
		v, ok := tlsVersions[t.version]
		if !ok {
			return nil, usage("Problem setting TLS options: unknown version %s.", t.version)
		}
		c.MinVersion, c.MaxVersion = v, v
	}
	if t.alpn != "" {
		c.NextProtos = []string{t.alpn}
	}
	var err error
	if c.CipherSuites, err = cipherSuites(t.ciphers); err != nil {
		return nil, err
	}
	if c.RootCAs, err = t.roots(); err != nil {
		return nil, err
	}
	if t.cert != "" {
		pair, err := tls.LoadX509KeyPair(t.cert, t.key)
		if err != nil {
			return nil, usage("Problem setting TLS options: %v.", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	if t.insecure {
		anyName(c)
	}
	return c, nil
}

var tlsVersions = map[string]uint16{
	"tlsv1.1": tls.VersionTLS11, "tlsv1.2": tls.VersionTLS12, "tlsv1.3": tls.VersionTLS13,
}

// anyName leaves out the comparison of names and, as mosquitto's --insecure,
// nothing else: the chain is still verified.
func anyName(c *tls.Config) {
	roots := c.RootCAs
	c.InsecureSkipVerify = true
	c.VerifyConnection = func(s tls.ConnectionState) error {
		if len(s.PeerCertificates) == 0 {
			return errors.New("the server sent no certificate")
		}
		between := x509.NewCertPool()
		for _, cert := range s.PeerCertificates[1:] {
			between.AddCert(cert)
		}
		_, err := s.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: between})
		return err
	}
}

// roots are the certificates to trust; nil: the operating system's.
func (t *tlsSettings) roots() (*x509.CertPool, error) {
	if t.caFile == "" && t.caPath == "" {
		return nil, nil
	}
	pool := x509.NewCertPool()
	if t.osCerts {
		sys, err := x509.SystemCertPool()
		if err != nil {
			return nil, usage("Problem setting TLS options: %v.", err)
		}
		pool = sys
	}
	var files []string
	if t.caFile != "" {
		files = []string{t.caFile}
	}
	if t.caPath != "" {
		for _, pattern := range []string{"*.crt", "*.pem"} {
			found, _ := filepath.Glob(filepath.Join(t.caPath, pattern)) // the patterns are well-formed
			files = append(files, found...)
		}
		if len(files) == 0 {
			return nil, usage("Problem setting TLS options: no *.crt or *.pem in %s.", t.caPath)
		}
	}
	for _, name := range files {
		pem, err := os.ReadFile(name)
		if err != nil {
			return nil, usage("Problem setting TLS options: File not found.")
		}
		if !pool.AppendCertsFromPEM(pem) && name == t.caFile {
			return nil, usage("Problem setting TLS options: no certificate in %s.", name)
		}
	}
	return pool, nil
}

// cipherSuites are the suites in a list of OpenSSL or IANA names.
func cipherSuites(list string) ([]uint16, error) {
	if list == "" {
		return nil, nil
	}
	known := make(map[string]uint16)
	for _, s := range tls.CipherSuites() {
		known[s.Name] = s.ID
		known[openSSLName(s.Name)] = s.ID
	}
	var ids []uint16
	for _, name := range strings.FieldsFunc(list, func(r rune) bool { return strings.ContainsRune(":, ", r) }) {
		id, ok := known[strings.ToUpper(name)]
		if !ok {
			return nil, usage("Problem setting TLS options: cipher suite %s is not supported.", name)
		}
		ids = append(ids, id)
	}
	return ids, nil
}

// openSSLName: TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 is ECDHE-RSA-AES128-GCM-SHA256.
func openSSLName(iana string) string {
	n := strings.TrimPrefix(iana, "TLS_")
	n = strings.Replace(n, "_WITH_", "_", 1)
	n = strings.ReplaceAll(n, "AES_", "AES")
	if strings.Contains(n, "CHACHA20_POLY1305") {
		n = strings.TrimSuffix(n, "_SHA256")
	}
	return strings.ReplaceAll(strings.ReplaceAll(n, "_CBC_", "_"), "_", "-")
}

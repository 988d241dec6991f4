// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/stretchr/testify/require"

	"emqttd/protocol/packet"
)

// authority issues certificates into files.
type authority struct {
	t    *testing.T
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	a := &authority{t: t, dir: t.TempDir()}
	a.cert, a.key = a.issue("ca", nil)
	return a
}

func (a *authority) file(name string) string { return filepath.Join(a.dir, name) }

// issue writes name.crt and name.key; names are the DNS names.
func (a *authority) issue(name string, names []string) (*x509.Certificate, *ecdsa.PrivateKey) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(a.t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, DNSNames: names,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: a.cert == nil, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	require.NoError(a.t, err)
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(a.t, err)
	a.write(name+".crt", "CERTIFICATE", der)
	a.write(name+".key", "PRIVATE KEY", raw)
	cert, err := x509.ParseCertificate(der)
	require.NoError(a.t, err)
	return cert, key
}

func (a *authority) write(name, kind string, der []byte) {
	require.NoError(a.t, os.WriteFile(a.file(name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
}

func TestTLS(t *testing.T) {
	a := newAuthority(t)
	a.issue("server", []string{"localhost"})
	a.issue("elsewhere", []string{"example.org"})
	a.issue("client", nil)
	stranger := newAuthority(t)
	start := func(t *testing.T, name string, clients tls.ClientAuthType) *broker {
		pair, err := tls.LoadX509KeyPair(a.file(name+".crt"), a.file(name+".key"))
		require.NoError(t, err)
		pool := x509.NewCertPool()
		pool.AddCert(a.cert)
		l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: clients, ClientCAs: pool})
		require.NoError(t, err)
		b := &broker{}
		b.start(t, l)
		return b
	}
	for _, c := range []struct {
		name, server string
		clients      tls.ClientAuthType
		args         []string
		code         int
	}{
		{"a certificate of the authority", "server", 0, []string{"--cafile", a.file("ca.crt")}, 0},
		{"in a directory", "server", 0, []string{"--capath", a.dir, "--tls-version", "tlsv1.2", "--ciphers", "ECDHE-ECDSA-AES128-GCM-SHA256"}, 0},
		{"the operating system's authorities, which do not know it", "server", 0, []string{"--tls-use-os-certs"}, 8},
		{"another authority", "server", 0, []string{"--cafile", stranger.file("ca.crt")}, 8},
		{"another authority is not made good by --insecure", "server", 0, []string{"--cafile", stranger.file("ca.crt"), "--insecure"}, 8},
		{"another name", "elsewhere", 0, []string{"--cafile", a.file("ca.crt")}, 8},
		{"another name, --insecure", "elsewhere", 0, []string{"--cafile", a.file("ca.crt"), "--insecure"}, 0},
		{"a client certificate", "server", tls.RequireAndVerifyClientCert, []string{"--cafile", a.file("ca.crt"), "--cert", a.file("client.crt"), "--key", a.file("client.key"), "--tls-version", "tlsv1.3"}, 0},
		{"none where one is wanted", "server", tls.RequireAndVerifyClientCert, []string{"--cafile", a.file("ca.crt"), "--tls-version", "tlsv1.2"}, 8},
		{"an unknown version", "server", 0, []string{"--cafile", a.file("ca.crt"), "--tls-version", "tlsv1.9"}, 1},
		{"an unknown cipher", "server", 0, []string{"--cafile", a.file("ca.crt"), "--ciphers", "ROT13"}, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := start(t, c.server, c.clients)
			got := emqtt(t, "", append([]string{"pub", "-h", "localhost", "-p", b.port, "-t", "t", "-m", "x", "-q", "1"}, c.args...)...)
			require.Equal(t, c.code, got.code, got.err)
		})
	}

	t.Run("every cipher of TLS 1.2 has its OpenSSL name", func(t *testing.T) {
		for openSSL, iana := range map[string]uint16{
			"ECDHE-RSA-AES256-GCM-SHA384":   tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
			"ECDHE-ECDSA-AES128-SHA":        tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA,
			"ECDHE-RSA-CHACHA20-POLY1305":   tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
			"ecdhe-ecdsa-aes256-gcm-sha384": tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
		} {
			ids, err := cipherSuites(openSSL)
			require.NoError(t, err)
			require.Equal(t, []uint16{iana}, ids)
		}
	})
}

func TestUnixSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	require.NoError(t, err)
	b := &broker{}
	b.start(t, l)
	require.Equal(t, outcome{}, emqtt(t, "", "pub", "--unix", path, "-t", "t", "-m", "x", "-q", "1"))
}

// webSocketServer carries MQTT in WebSocket messages to b.
func webSocketServer(t *testing.T, b *broker, secure bool) *httptest.Server {
	t.Helper()
	up := websocket.Upgrader{Subprotocols: []string{"mqtt"}}
	mux := http.NewServeMux()
	mux.HandleFunc("/mqtt", func(w http.ResponseWriter, r *http.Request) {
		ws, err := up.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer ws.Close()
		nc, err := net.Dial("tcp", b.l.Addr().String())
		if err != nil {
			return
		}
		var wg sync.WaitGroup
		wg.Go(func() {
			buf := make([]byte, 512)
			for {
				n, err := nc.Read(buf)
				if err != nil || ws.WriteMessage(websocket.BinaryMessage, buf[:n]) != nil {
					_ = ws.Close()
					return
				}
			}
		})
		for {
			_, m, err := ws.ReadMessage()
			if err != nil {
				break
			}
			_, _ = nc.Write(m)
		}
		_ = nc.Close()
		wg.Wait()
	})
	s := httptest.NewUnstartedServer(mux)
	if secure {
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	return s
}

func TestWebSocket(t *testing.T) {
	for _, secure := range []bool{false, true} {
		b := &broker{deliver: []*packet.Publish{{Topic: []byte("t"), Payload: []byte("over ws")}}}
		b.start(t, nil)
		s := webSocketServer(t, b, secure)
		address := strings.TrimPrefix(strings.TrimPrefix(s.URL, "https://"), "http://")
		_, port, err := net.SplitHostPort(address)
		require.NoError(t, err)
		args := []string{"sub", "-L", "ws://" + address + "/t", "-C", "1"}
		if secure {
			ca := filepath.Join(t.TempDir(), "ca")
			require.NoError(t, os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600))
			args = append([]string{"sub", "-L", "wss://" + address + "/t", "-C", "1"}, "--cafile", ca)
		}
		require.Equal(t, outcome{0, "over ws\n", ""}, emqtt(t, "", args...))
		if !secure {
			require.Equal(t, outcome{0, "over ws\n", ""}, emqtt(t, "", "sub", "--ws", "-h", "127.0.0.1", "-p", port, "-t", "t", "-C", "1"))
			got := emqtt(t, "", "sub", "--ws", "--ws-path", "/other", "-h", "127.0.0.1", "-p", port, "-t", "t", "-C", "1")
			require.Equal(t, 1, got.code)
			require.Contains(t, got.err, "404")
		}
	}
}

// socksServer is a SOCKS5 proxy that wants this user and password ("" for
// none) and sends every connection to target.
func socksServer(t *testing.T, target, user, password string) (address string, asked chan string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	asked = make(chan string, 8)
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { defer nc.Close(); serveSocks(nc, target, user, password, asked) })
		}
	})
	t.Cleanup(func() { _ = l.Close(); wg.Wait() })
	return l.Addr().String(), asked
}

func serveSocks(nc net.Conn, target, user, password string, asked chan<- string) {
	read := func(n int) []byte {
		b := make([]byte, n)
		_, _ = io.ReadFull(nc, b)
		return b
	}
	method := byte(0)
	if user != "" {
		method = 2
	}
	read(3)
	_, _ = nc.Write([]byte{5, method})
	if user != "" {
		u := read(int(read(2)[1]))
		p := read(int(read(1)[0]))
		if string(u) != user || string(p) != password {
			_, _ = nc.Write([]byte{1, 1})
			return
		}
		_, _ = nc.Write([]byte{1, 0})
	}
	head := read(5)
	asked <- string(read(int(head[4])))
	read(2)
	if target == "" {
		_, _ = nc.Write([]byte{5, 5, 0, 1, 0})
		return
	}
	_, _ = nc.Write([]byte{5, 0, 0, 1, 0, 0, 0, 0, 0, 0})
	out, err := net.Dial("tcp", target)
	if err != nil {
		return
	}
	var wg sync.WaitGroup
	wg.Go(func() { _, _ = io.Copy(nc, out); _ = nc.Close() })
	_, _ = io.Copy(out, nc)
	_ = out.Close()
	wg.Wait()
}

func TestProxy(t *testing.T) {
	b := &broker{}
	b.start(t, nil)
	pub := func(proxy string) outcome {
		return emqtt(t, "", "pub", "--proxy", proxy, "-h", "broker.invalid", "-t", "t", "-m", "x", "-q", "1")
	}
	open, asked := socksServer(t, b.l.Addr().String(), "", "")
	require.Equal(t, outcome{}, pub("socks5h://"+open))
	require.Equal(t, "broker.invalid", <-asked, "the proxy resolves the name")
	guarded, _ := socksServer(t, b.l.Addr().String(), "u:", "p@")
	require.Equal(t, outcome{}, pub("socks5h://u%3A:p%40@"+guarded))
	require.Contains(t, pub("socks5h://u:wrong@"+guarded).err, "does not accept the user name")
	require.Contains(t, pub("socks5h://"+guarded).err, "another authentication")
	refusing, _ := socksServer(t, "", "", "")
	require.Contains(t, pub("socks5h://"+refusing).err, "refuses the connection, reply 5")
}

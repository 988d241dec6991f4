// SPDX-License-Identifier: Apache-2.0

package broker_test

import (
	"context"
	"crypto/tls"
	"net"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pires/go-proxyproto"
	"github.com/stretchr/testify/require"

	"emqttd/listeners/ws"
	"emqttd/protocol/conformance"
	"emqttd/protocol/packet"
	"emqttd/supervisor/broker/brokertest"
)

// Every statement of the standards and every row of the fault table, played
// against the whole broker over each way in.

// everything is all scripts; sample every nth of them.
func everything() []conformance.Statement {
	return append(append(conformance.Statements(packet.V311), conformance.Statements(packet.V5)...), conformance.Faults()...)
}

func sample(n int) []conformance.Statement {
	var out []conformance.Statement
	for i, s := range everything() {
		if i%n == 0 {
			out = append(out, s)
		}
	}
	return out
}

// conform plays the scripts; a failure shows the bytes.
func conform(t *testing.T, dial conformance.Dialer, list []conformance.Statement, websocket *conformance.WebSocket) {
	t.Helper()
	passed := 0
	opts := conformance.Options{Parallel: 8, Timeout: patience, WebSocket: websocket, Username: "user", Password: "secret"}
	for _, r := range conformance.Run(t.Context(), dial, list, opts) {
		if r.Verdict == conformance.Fail && strings.Contains(r.Statement.Source, "wait ") {
			// Its subject is time, which a busy machine lets nobody keep: once more, alone.
			r = conformance.Run(t.Context(), dial, []conformance.Statement{*r.Statement}, opts)[0]
		}
		switch r.Verdict {
		case conformance.Pass:
			passed++
		case conformance.Fail, conformance.Error:
			t.Error(r)
			for _, e := range r.Trace {
				t.Log("   ", e)
			}
		case conformance.NotApplicable:
			if r.Statement.Scripted() && websocket != nil {
				t.Log(r)
			}
		}
	}
	require.Greater(t, passed, len(list)*3/4)
}

func dialTCP(address net.Addr) conformance.Dialer {
	return func(ctx context.Context) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, address.Network(), address.String())
	}
}

// userSettings let in the user that the scripts name, and nobody else on request.
var userSettings = []string{"auth.users={user: secret}", "auth.chain=[{type: builtin}]", "auth.allow_anonymous=true"}

func TestConformance(t *testing.T) {
	ca := newAuthority(t)
	dir := t.TempDir()
	cert, key := ca.files(dir, "127.0.0.1")
	settings := append([]string{
		"listeners.tcp.unix={bind: \"unix:" + filepath.Join(dir, "mqtt.sock") + "\"}",
		"listeners.tcp.v1={bind: \"127.0.0.1:0\", proxy_protocol: v1}",
		"listeners.tcp.v2={bind: \"127.0.0.1:0\", proxy_protocol: v2}",
		"listeners.tls.default={bind: \"127.0.0.1:0\", tls: {cert_file: " + cert + ", key_file: " + key + "}}",
		"listeners.wss.default={bind: \"127.0.0.1:0\", tls: {cert_file: " + cert + ", key_file: " + key + "}}",
	}, userSettings...)
	for _, engine := range []string{"epoll", "goroutine"} {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			own := append([]string{"runtime.engine=" + engine}, settings...)
			if engine == "goroutine" { // of its own name, so that both can run at a time
				own[1] = "listeners.tcp.unix={bind: \"unix:" + filepath.Join(dir, "portable.sock") + "\"}"
			}
			b := brokertest.Start(t, own...)
			for _, way := range waysIn(b, ca.config()) {
				t.Run(way.name, func(t *testing.T) { conform(t, way.dial, way.list, way.websocket) })
			}
			settled(t, b)
		})
	}
}

type wayIn struct {
	name      string
	dial      conformance.Dialer
	list      []conformance.Statement
	websocket *conformance.WebSocket
}

func waysIn(b *brokertest.Broker, cfg *tls.Config) []wayIn {
	addr := func(key string) net.Addr { return b.Addr("listeners." + key) }
	dialWS := func(scheme, key string) conformance.Dialer {
		return func(ctx context.Context) (net.Conn, error) {
			return ws.Dial(ctx, (&url.URL{Scheme: scheme, Host: addr(key).String(), Path: "/mqtt"}).String(), cfg, nil)
		}
	}
	frames := &conformance.WebSocket{Dial: dialTCP(addr("ws.default")), Host: addr("ws.default").String(), Path: "/mqtt"}
	return []wayIn{
		{"tcp", dialTCP(addr("tcp.default")), everything(), frames},
		{"ws", dialWS("ws", "ws.default"), everything(), frames},
		{"tls", dialTLS(addr("tls.default"), cfg), sample(5), nil},
		{"wss", dialWS("wss", "wss.default"), sample(5), nil},
		{"unix", dialTCP(addr("tcp.unix")), sample(5), nil},
		{"proxy v1", behind(addr("tcp.v1"), 1), sample(5), nil},
		{"proxy v2", behind(addr("tcp.v2"), 2), sample(5), nil},
	}
}

func dialTLS(address net.Addr, cfg *tls.Config) conformance.Dialer {
	return func(ctx context.Context) (net.Conn, error) {
		return (&tls.Dialer{Config: cfg}).DialContext(ctx, "tcp", address.String())
	}
}

// behind dials as a proxy does that speaks for 192.0.2.7.
func behind(address net.Addr, version byte) conformance.Dialer {
	return func(ctx context.Context) (net.Conn, error) {
		return dialBehind(ctx, address, version, net.IPv4(192, 0, 2, 7))
	}
}

func dialBehind(ctx context.Context, address net.Addr, version byte, client net.IP) (net.Conn, error) {
	nc, err := dialTCP(address)(ctx)
	if err != nil {
		return nil, err
	}
	h := proxyproto.HeaderProxyFromAddrs(version, &net.TCPAddr{IP: client, Port: 4711}, &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 1883})
	if _, err := h.WriteTo(nc); err != nil {
		_ = nc.Close()
		return nil, err
	}
	return nc, nil
}

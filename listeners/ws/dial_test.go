// SPDX-License-Identifier: Apache-2.0

package ws

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// peer is the server's side of one connection in a test.
type peer struct {
	conn net.Conn
	sh   *Shared
	d    *Driver
	ends chan error // why the connection ended
}

// serve upgrades connections and hands payload to onData, which may answer.
func serve(t *testing.T, cfg Config, tlsConfig *tls.Config, onData func(p *peer, data []byte) (out []byte)) (addr string, ends chan error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { l.Close() })
	if tlsConfig != nil {
		l = tls.NewListener(l, tlsConfig)
	}
	ends = make(chan error, 10)
	u := NewUpgrader(cfg)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			p := &peer{conn: conn, sh: NewShared(), d: &Driver{}, ends: ends}
			go p.run(u, onData)
		}
	}()
	return l.Addr().String(), ends
}

func (p *peer) run(u *Upgrader, onData func(p *peer, data []byte) []byte) {
	defer p.conn.Close()
	var in, out, data []byte
	buf := make([]byte, 1000)
	for up := false; ; {
		n, err := p.conn.Read(buf)
		if err != nil {
			p.ends <- err
			return
		}
		in = append(in, buf[:n]...)
		if !up {
			var res Result
			res, out = u.Upgrade(p.sh, p.d, in, out[:0])
			in, up = in[res.Consumed:], res.Outcome == Upgraded
			if res.Outcome == PlainHTTP {
				out = refuse(404, "path", "Not here.").Append(out, "GET")
			}
			if up {
				out = append(out, onData(p, nil)...) // with the 101, in one segment
			}
		}
		var end error
		if up {
			data, out, end = p.d.Feed(p.sh, in, nil, out)
			in = in[:0]
			if len(data) > 0 {
				out = append(out, onData(p, data)...)
			}
		}
		p.conn.Write(out)
		out = out[:0]
		if end != nil {
			p.ends <- end
			return
		}
	}
}

func echo(p *peer, data []byte) []byte { return p.d.AppendMessage(nil, data) }

func dial(t *testing.T, url string, opts *DialOptions) net.Conn {
	t.Helper()
	c, err := Dial(t.Context(), url, nil, opts)
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	return c
}

func TestDialStreamsBothWays(t *testing.T) {
	big := bytes.Repeat([]byte("0123456789"), 50000)
	for name, opts := range map[string]*DialOptions{"plain": nil, "compressed": {Compression: true}} {
		t.Run(name, func(t *testing.T) {
			addr, ends := serve(t, Config{Compression: true}, nil, echo)
			c := dial(t, "ws://"+addr, opts)
			require.Equal(t, opts != nil, c.(*clientConn).d.deflate)
			_, err := c.Write(unhex(t, "c0 00"))
			require.NoError(t, err)
			one := make([]byte, 1)
			for _, want := range []byte{0xc0, 0} {
				_, err := io.ReadFull(c, one)
				require.NoError(t, err)
				require.Equal(t, want, one[0])
			}
			written := make(chan error, 1)
			go func() {
				_, err := c.Write(big)
				written <- err
			}()
			got := make([]byte, len(big))
			_, err = io.ReadFull(c, got)
			require.NoError(t, err)
			require.True(t, bytes.Equal(big, got))

			require.NoError(t, <-written) // Close sends no close frame beside a Write
			require.NoError(t, c.Close())
			require.Equal(t, &CloseError{Code: 1000, Label: LabelPeerClose, Peer: true}, <-ends)
			_, err = c.Write([]byte("x"))
			require.ErrorIs(t, err, net.ErrClosed)
			_, err = c.Read(one)
			require.ErrorIs(t, err, net.ErrClosed)
		})
	}
}

func TestDialTLS(t *testing.T) {
	s := httptest.NewUnstartedServer(nil)
	s.StartTLS()
	defer s.Close()
	addr, _ := serve(t, Config{}, &tls.Config{Certificates: s.TLS.Certificates}, echo)
	_, err := Dial(t.Context(), "wss://"+addr+"/mqtt", nil, nil)
	require.ErrorContains(t, err, "certificate")

	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	c, err := Dial(t.Context(), "wss://"+addr+"/mqtt", &tls.Config{RootCAs: roots}, nil)
	require.NoError(t, err)
	defer c.Close()
	_, err = c.Write([]byte("secret"))
	require.NoError(t, err)
	got := make([]byte, 6)
	_, err = io.ReadFull(c, got)
	require.NoError(t, err)
	require.Equal(t, "secret", string(got))
}

func TestDialReadsGoOnAfterADeadline(t *testing.T) {
	addr, _ := serve(t, Config{}, nil, func(p *peer, data []byte) []byte {
		if data == nil {
			return nil
		}
		half := p.d.AppendMessage(nil, data)
		if string(data) == "first" { // half a header now, the rest with the next message
			return half[:1]
		}
		return append(p.d.AppendMessage(nil, []byte("first"))[1:], half...)
	})
	c := dial(t, "ws://"+addr, nil)
	c.Write([]byte("first"))
	got := make([]byte, 11)
	for range 3 {
		c.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
		_, err := c.Read(got)
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	}
	c.SetReadDeadline(time.Time{})
	c.Write([]byte("second"))
	_, err := io.ReadFull(c, got)
	require.NoError(t, err)
	require.Equal(t, "firstsecond", string(got))
}

func TestDialEnds(t *testing.T) {
	cases := []struct {
		name string
		out  func(d *Driver) []byte
		want func(t *testing.T, err error)
	}{
		{"data with the 101, then a clean close", func(d *Driver) []byte { return d.AppendClose(d.AppendMessage(nil, []byte("hello")), 1000, "") },
			func(t *testing.T, err error) { require.Equal(t, io.EOF, err) }},
		{"close with a reason", func(d *Driver) []byte { return d.AppendClose(d.AppendMessage(nil, []byte("hello")), 1003, "no text") },
			func(t *testing.T, err error) {
				require.Equal(t, &CloseError{Code: 1003, Text: "no text", Label: LabelPeerClose, Peer: true}, err)
			}},
		{"a text frame", func(d *Driver) []byte {
			return append(d.AppendMessage(nil, []byte("hello")), 0x81, 0x02, 'h', 'i')
		}, func(t *testing.T, err error) { require.Equal(t, LabelText, err.(*CloseError).Label) }},
		{"a masked frame", func(d *Driver) []byte {
			return append(d.AppendMessage(nil, []byte("hello")), frame(finBit|opBinary, []byte("x"))...)
		}, func(t *testing.T, err error) { require.Equal(t, "bad MASK", err.(*CloseError).Text) }},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			addr, ends := serve(t, Config{}, nil, func(p *peer, data []byte) []byte { return c.out(p.d) })
			conn := dial(t, "ws://"+addr, nil)
			got, err := readAll(conn)
			require.Equal(t, "hello", string(got))
			c.want(t, err)
			require.Error(t, <-ends)
		})
	}
}

// readAll is io.ReadAll, but shows io.EOF.
func readAll(r io.Reader) (got []byte, err error) {
	buf := make([]byte, 3)
	for {
		n, err := r.Read(buf)
		got = append(got, buf[:n]...)
		if err != nil {
			return got, err
		}
	}
}

func TestDialAnswersPings(t *testing.T) {
	events := make(chan FrameEvent, 1)
	addr, _ := serve(t, Config{}, nil, func(p *peer, data []byte) []byte {
		p.d.Trace = func(ev FrameEvent) { events <- ev }
		return []byte{0x89, 2, 'h', 'i'}
	})
	c := dial(t, "ws://"+addr, nil)
	go c.Read(make([]byte, 1))
	ev := <-events
	require.NotZero(t, ev.Key)
	ev.Key = [4]byte{}
	require.Equal(t, FrameEvent{Fin: true, Opcode: opPong, Masked: true, Length: 2}, ev)
}

func TestDialIsRefused(t *testing.T) {
	addr, _ := serve(t, Config{}, nil, echo)
	for _, c := range []struct {
		name, url string
		opts      *DialOptions
		status    int
		want      string
	}{
		{"wrong path", "ws://" + addr + "/chat", nil, 404, "MQTT is at /mqtt"},
		{"wrong sub-protocol", "ws://" + addr, &DialOptions{Subprotocols: []string{"amqp"}}, 400, "Bad WebSocket Protocol"},
		{"foreign origin", "ws://" + addr, &DialOptions{Header: http.Header{"Origin": {"http://evil.example"}}}, 403, "allowed_origins"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Dial(t.Context(), c.url, nil, c.opts)
			var h *HandshakeError
			require.ErrorAs(t, err, &h)
			require.Equal(t, c.status, h.Status)
			require.ErrorContains(t, err, c.want)
			require.Equal(t, 1, strings.Count(err.Error(), "ws: dial"))
		})
	}
	_, err := Dial(t.Context(), "http://"+addr, nil, nil)
	require.Error(t, err)
	_, err = Dial(t.Context(), "ws://[", nil, nil)
	require.Error(t, err)
}

func TestDialEndsWithItsContext(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0") // accepts, and says nothing
	require.NoError(t, err)
	defer l.Close()
	for _, scheme := range []string{"ws", "wss"} {
		ctx, cancel := context.WithCancelCause(t.Context())
		dialed := make(chan struct{})
		opts := &DialOptions{NetDial: func(ctx context.Context, network, addr string) (net.Conn, error) {
			defer close(dialed)
			return (&net.Dialer{}).DialContext(ctx, network, addr)
		}}
		go func() { <-dialed; cancel(errors.New("changed my mind")) }()
		_, err = Dial(ctx, scheme+"://"+l.Addr().String(), nil, opts)
		require.Error(t, err)
	}
}

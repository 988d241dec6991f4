// SPDX-License-Identifier: Apache-2.0

package ws

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

// DialOptions are what a client may wish beyond the URL. Its zero value, and
// nil, are right for a broker.
type DialOptions struct {
	Header       http.Header // further request headers: Origin, Authorization, Host
	Subprotocols []string    // nil: mqtt
	Compression  bool        // offer permessage-deflate; what we send is not compressed

	// NetDial makes the connection below; nil: net.Dialer.
	NetDial func(ctx context.Context, network, addr string) (net.Conn, error)
}

// HandshakeError is returned by Dial when the server answers the upgrade with
// something else.
type HandshakeError struct {
	Status int    // HTTP status code
	Body   string // at most 1024 bytes of the answer; two lines from our broker
}

func (e *HandshakeError) Error() string {
	text := strings.Join(strings.FieldsFunc(e.Body, func(r rune) bool { return r < ' ' }), ": ")
	return fmt.Sprintf("%d %s: %q", e.Status, http.StatusText(e.Status), text)
}

// Dial connects to an MQTT broker at a ws or wss URL; an empty path is /mqtt.
// ctx bounds the time until the upgrade is done. tlsConfig is for wss and may
// be nil.
//
// The connection is an ordinary net.Conn for goroutines: Read streams the bytes
// of binary messages without regard to their ends, Write sends one message per
// call, Close sends a close frame first. A Read that met its deadline can be
// repeated; a Write cannot, since half a frame may be out. A clean close by the
// server is io.EOF, any other a *CloseError.
func Dial(ctx context.Context, rawURL string, tlsConfig *tls.Config, opts *DialOptions) (net.Conn, error) {
	if opts == nil {
		opts = &DialOptions{}
	}
	c := &clientConn{buf: make([]byte, 4<<10)}
	if err := c.dial(ctx, rawURL, tlsConfig, opts); err != nil {
		if c.raw != nil {
			c.raw.Close()
		}
		return nil, fmt.Errorf("ws: dial %s: %w", rawURL, err)
	}
	return c, nil
}

func (c *clientConn) dial(ctx context.Context, rawURL string, tlsConfig *tls.Config, opts *DialOptions) error {
	u, err := url.Parse(rawURL)
	if err != nil {
		return err
	}
	if u.Path == "" {
		u.Path = "/mqtt"
	}
	offered := opts.Subprotocols
	if offered == nil {
		offered = []string{"mqtt"}
	}
	dialer := websocket.Dialer{
		NetDialContext:    c.dialer(opts.NetDial, nil),
		NetDialTLSContext: c.dialer(opts.NetDial, clientConfig(tlsConfig, u.Hostname())),
		Subprotocols:      offered,
		EnableCompression: opts.Compression,
		ReadBufferSize:    512,
		WriteBufferPool:   &sync.Pool{},
	}
	conn, resp, err := dialer.DialContext(ctx, u.String(), opts.Header)
	if c.stop != nil && !c.stop() {
		return context.Cause(ctx)
	}
	if errors.Is(err, websocket.ErrBadHandshake) {
		body, _ := io.ReadAll(resp.Body)
		return &HandshakeError{Status: resp.StatusCode, Body: string(body)}
	}
	if err != nil {
		return err
	}
	if !slices.Contains(offered, conn.Subprotocol()) { // [v3.1.1 MQTT-6.0.0-4, v5 MQTT-6.0.0-4]
		return fmt.Errorf("server speaks sub-protocol %q, not %q", conn.Subprotocol(), offered)
	}
	c.d = Driver{client: true, seat: &seat{d: &c.d, conn: conn}, sh: &c.sh, deflate: resp.Header.Get(extensionsHeader) != "",
		cfg: &Config{MaxMessage: DefaultMaxMessage, MaxInflated: 16 * DefaultMaxInflated}}
	c.upgraded = true
	return nil
}

func clientConfig(cfg *tls.Config, name string) *tls.Config {
	if cfg == nil {
		cfg = &tls.Config{}
	}
	cfg = cfg.Clone()
	if cfg.ServerName == "" {
		cfg.ServerName = name
	}
	return cfg
}

// dialer makes the connection below c, with TLS if cfg is not nil, and puts c
// in between it and gorilla. A cancelled context ends what waits on it.
func (c *clientConn) dialer(dial func(context.Context, string, string) (net.Conn, error), cfg *tls.Config) func(context.Context, string, string) (net.Conn, error) {
	if dial == nil {
		dial = (&net.Dialer{}).DialContext
	}
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		raw, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		c.raw = raw
		if cfg != nil {
			t := tls.Client(raw, cfg)
			if err := t.HandshakeContext(ctx); err != nil {
				return nil, err
			}
			c.raw = t
		}
		c.stop = context.AfterFunc(ctx, func() { raw.SetDeadline(time.Unix(1, 0)) })
		return (*clientPipe)(c), nil
	}
}

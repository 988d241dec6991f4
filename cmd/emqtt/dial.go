// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/tls"
	"net"
	"net/url"
	"strconv"
	"time"

	"emqttd/listeners/ws"
)

type dialFunc func(ctx context.Context) (net.Conn, error)

// dialer is how to reach the server that s names: a stream (TCP, a unix socket
// or a proxy), TLS on it if wanted, WebSocket on that if wanted.
func (s *settings) dialer() (dialFunc, error) {
	host := s.host
	if host == "" {
		host = "localhost"
	}
	secure := s.tls.wanted(s.port)
	var conf *tls.Config
	if secure {
		var err error
		if conf, err = s.tls.config(host); err != nil {
			return nil, err
		}
	}
	stream, err := s.stream()
	if err != nil {
		return nil, err
	}
	address := net.JoinHostPort(host, strconv.Itoa(s.portFor(secure)))
	switch {
	case s.webSocket:
		return s.webSocketDial(stream, address, conf), nil
	case secure:
		return tlsDial(stream, address, conf), nil
	}
	return func(ctx context.Context) (net.Conn, error) { return stream(ctx, address) }, nil
}

func (s *settings) portFor(secure bool) int {
	switch {
	case s.port != 0:
		return s.port
	case s.webSocket && secure:
		return 443
	case s.webSocket:
		return 80
	case secure:
		return 8883
	}
	return 1883
}

type streamFunc func(ctx context.Context, address string) (net.Conn, error)

// stream is how to get a connection of bytes to an address.
func (s *settings) stream() (streamFunc, error) {
	d := net.Dialer{Timeout: 30 * time.Second}
	if s.bind != "" {
		ip, err := net.ResolveIPAddr("ip", s.bind)
		if err != nil {
			return nil, usage("Invalid bind address '%s'.", s.bind)
		}
		d.LocalAddr = &net.TCPAddr{IP: ip.IP, Zone: ip.Zone}
	}
	tcp := func(ctx context.Context, address string) (net.Conn, error) { return d.DialContext(ctx, "tcp", address) }
	switch {
	case s.unix != "":
		return func(ctx context.Context, _ string) (net.Conn, error) { return d.DialContext(ctx, "unix", s.unix) }, nil
	case s.proxy != nil:
		return func(ctx context.Context, address string) (net.Conn, error) { return s.proxy.dial(ctx, tcp, address) }, nil
	case s.srv:
		return func(ctx context.Context, address string) (net.Conn, error) { return srvDial(ctx, tcp, address) }, nil
	}
	return tcp, nil
}

// srvDial asks for _mqtt._tcp.HOST and tries the targets in their order.
func srvDial(ctx context.Context, tcp streamFunc, address string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	_, records, err := net.DefaultResolver.LookupSRV(ctx, "mqtt", "tcp", host)
	if err != nil {
		return nil, err
	}
	for _, r := range records {
		var nc net.Conn
		if nc, err = tcp(ctx, net.JoinHostPort(r.Target, strconv.Itoa(int(r.Port)))); err == nil {
			return nc, nil
		}
	}
	return nil, err
}

func tlsDial(stream streamFunc, address string, conf *tls.Config) dialFunc {
	return func(ctx context.Context) (net.Conn, error) {
		nc, err := stream(ctx, address)
		if err != nil {
			return nil, err
		}
		c := tls.Client(nc, conf)
		if err := c.HandshakeContext(ctx); err != nil {
			_ = nc.Close() // the handshake's error says more
			return nil, &tlsError{err}
		}
		return c, nil
	}
}

func (s *settings) webSocketDial(stream streamFunc, address string, conf *tls.Config) dialFunc {
	u := url.URL{Scheme: "ws", Host: address, Path: s.wsPath}
	if conf != nil {
		u.Scheme = "wss"
	}
	opts := &ws.DialOptions{NetDial: func(ctx context.Context, _, address string) (net.Conn, error) {
		return stream(ctx, address)
	}}
	return func(ctx context.Context) (net.Conn, error) { return ws.Dial(ctx, u.String(), conf, opts) }
}

// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strconv"
	"time"
)

// socksProxy is a SOCKS5 proxy that resolves names itself [RFC 1928], with no
// authentication or user name and password [RFC 1929].
type socksProxy struct {
	address        string
	user, password string
	auth           bool
}

func setProxy(s *settings, v []string) error {
	u, err := url.Parse(v[0])
	if err != nil || u.Scheme != "socks5h" || u.Hostname() == "" {
		return usage("Unsupported proxy protocol: %s", v[0])
	}
	port := u.Port()
	if port == "" {
		port = "1080"
	}
	p := &socksProxy{address: net.JoinHostPort(u.Hostname(), port)}
	if u.User != nil {
		p.auth = true
		p.user = u.User.Username()
		p.password, _ = u.User.Password()
		if p.user == "" || len(p.user) > 255 || p.password == "" || len(p.password) > 255 {
			return usage("The proxy's user name and password have 1 to 255 bytes.")
		}
	}
	s.proxy = p
	return nil
}

// dial connects to address through the proxy.
func (p *socksProxy) dial(ctx context.Context, tcp streamFunc, address string) (net.Conn, error) {
	nc, err := tcp(ctx, p.address)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = nc.SetDeadline(time.Unix(1, 0)) })
	err = p.handshake(nc, address)
	if !stop() {
		err = errors.Join(err, ctx.Err())
	}
	if err != nil {
		_ = nc.Close() // the handshake's error says more
		return nil, fmt.Errorf("proxy %s: %w", p.address, err)
	}
	return nc, nil
}

const (
	socksVersion  = 5
	methodNone    = 0
	methodUser    = 2
	authVersion   = 1
	connectMethod = 1
	addressName   = 3
	addressIPv4   = 1
	addressIPv6   = 4
)

func (p *socksProxy) handshake(nc net.Conn, address string) error {
	method := byte(methodNone)
	if p.auth {
		method = methodUser
	}
	answer := make([]byte, 2)
	if err := ask(nc, []byte{socksVersion, 1, method}, answer); err != nil {
		return err
	}
	if answer[0] != socksVersion || answer[1] != method {
		return errors.New("the proxy wants another authentication")
	}
	if p.auth {
		b := append([]byte{authVersion, byte(len(p.user))}, p.user...)
		b = append(append(b, byte(len(p.password))), p.password...)
		if err := ask(nc, b, answer); err != nil {
			return err
		}
		if answer[1] != 0 {
			return errors.New("the proxy does not accept the user name and password")
		}
	}
	return p.connect(nc, address)
}

func (p *socksProxy) connect(nc net.Conn, address string) error {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || len(host) > 255 {
		return fmt.Errorf("address %q cannot be asked of a proxy", address)
	}
	b := append([]byte{socksVersion, connectMethod, 0, addressName, byte(len(host))}, host...)
	b = append(b, byte(n>>8), byte(n))
	head := make([]byte, 5) // version, reply, reserved, address type, first byte of the address
	if err := ask(nc, b, head); err != nil {
		return err
	}
	if head[1] != 0 {
		return fmt.Errorf("the proxy refuses the connection, reply %d", head[1])
	}
	rest := map[byte]int{addressIPv4: 3, addressIPv6: 15, addressName: int(head[4])}
	left, ok := rest[head[3]]
	if !ok {
		return fmt.Errorf("the proxy answers with address type %d", head[3])
	}
	_, err = io.ReadFull(nc, make([]byte, left+2)) // and the port
	return err
}

func ask(nc net.Conn, question, answer []byte) error {
	if _, err := nc.Write(question); err != nil {
		return err
	}
	_, err := io.ReadFull(nc, answer)
	return err
}

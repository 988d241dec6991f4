// SPDX-License-Identifier: Apache-2.0

package conn

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/netip"

	"github.com/pires/go-proxyproto"

	"emqttd/actors/metrics"
	"emqttd/listeners/tls"
)

func newHandshake(c *Conn) *tls.Handshake {
	l := c.loop
	return tls.NewHandshake(c.listener.TLS, l.opts.TLS, c.listener.Terms.Load().MaxHandshake, func() { l.Post(c.handshakeWake) })
}

// handshake feeds the TLS handshake, which runs on the pool.
func (c *Conn) handshake(b []byte) {
	err := c.door.handsh.Feed(b)
	c.handshakeOutput()
	if err != nil {
		c.secureFail(err)
		return
	}
	c.handshakeWake()
}

func (c *Conn) handshakeOutput() {
	if c.encrypted(c.door.handsh.Output(c.wireBytes())) {
		c.touch()
	}
}

// handshakeWake is called on the loop when the handshake has something to say,
// or is done.
func (c *Conn) handshakeWake() {
	if c.layer != inTLS || c.door.handsh == nil {
		return
	}
	c.handshakeOutput()
	s, err, ok := c.door.handsh.Done()
	if !ok {
		c.ahead(c.door.handsh.Waiting())
		return
	}
	c.door.handsh = nil
	c.ahead(false)
	switch {
	case err == nil:
	case c.over && errors.Is(err, io.EOF):
		c.end(metrics.ClosePeer, nil)
		return
	default:
		c.secureFail(err)
		return
	}
	c.secure = s
	if peer := s.Info().Peer; peer != nil {
		c.base.CertCN = peer.CommonName
	}
	c.decrypted()
	c.input(nil) // the session may hold bytes already
	if c.over {
		c.end(metrics.ClosePeer, nil)
	}
}

// ahead stops and resumes reading from a peer that has sent as much behind its
// handshake as one may hold.
func (c *Conn) ahead(far bool) {
	if c.paused != far {
		c.paused = far
		c.touch()
	}
}

// secureFail ends a connection whose handshake failed; the alert is in the
// out-buffer.
func (c *Conn) secureFail(err error) {
	var te *tls.Error
	label := "tls"
	if errors.As(err, &te) {
		label = te.Label
	}
	c.loop.opts.Log.Info().Str("conn", c.base.Name()).Stringer("peer", c.base.Peer).Str("label", label).Err(err).Msg("tls handshake failed")
	c.layer = inHTTP
	c.finish(metrics.CloseFault, label)
}

// ProxyMode says which PROXY header a listener demands.
type ProxyMode uint8

// Without its header a connection of a listener that demands one is refused:
// else anybody could speak for any address.
const (
	ProxyOff ProxyMode = iota
	ProxyV1
	ProxyV2
	ProxyBoth
)

var proxyV2Signature = []byte("\r\n\r\n\x00\r\nQUIT\n")

// proxy reads the PROXY header and returns what lies behind it.
func (c *Conn) proxy(b []byte) []byte {
	c.door.held = append(c.door.held, b...)
	n, ok := proxyHeader(c.door.held, c.listener.Proxy)
	if !ok {
		c.loop.opts.Log.Info().Str("conn", c.base.Name()).Stringer("peer", c.base.Peer).Msg("proxy header missing or malformed")
		c.end(metrics.CloseFault, nil)
		return nil
	}
	if n == 0 {
		return nil
	}
	h, err := proxyproto.Read(bufio.NewReader(bytes.NewReader(c.door.held[:n])))
	if err != nil {
		c.loop.opts.Log.Info().Str("conn", c.base.Name()).Stringer("peer", c.base.Peer).Err(err).Msg("proxy header malformed")
		c.end(metrics.CloseFault, err)
		return nil
	}
	if a, ok := h.SourceAddr.(*net.TCPAddr); ok && !h.Command.IsLocal() {
		if ip, ok := netip.AddrFromSlice(a.IP); ok {
			c.base.Peer = netip.AddrPortFrom(ip.Unmap(), uint16(a.Port))
		}
	}
	if c.listener.Admit != nil && !c.listener.Admit(c.base.Peer) {
		c.end(metrics.CloseRefused, nil)
		return nil
	}
	rest := c.door.held[n:]
	c.door.held = nil
	c.unproxied()
	return rest
}

// proxyHeader is the length of a whole header at the start of b; 0: not all of
// it is there yet; false: it is none.
func proxyHeader(b []byte, mode ProxyMode) (int, bool) {
	if m := min(len(b), len(proxyV2Signature)); mode != ProxyV1 && bytes.Equal(b[:m], proxyV2Signature[:m]) {
		if len(b) < 16 {
			return 0, true
		}
		n := 16 + int(b[14])<<8 + int(b[15])
		if n > 16+maxProxyV2 {
			return 0, false
		}
		if len(b) < n {
			return 0, true
		}
		return n, true
	}
	const v1 = "PROXY "
	if m := min(len(b), len(v1)); mode != ProxyV2 && string(b[:m]) == v1[:m] {
		if i := bytes.Index(b[:min(len(b), maxProxyV1)], []byte("\r\n")); i >= 0 {
			return i + 2, true
		}
		return 0, len(b) < maxProxyV1
	}
	return 0, false
}

const (
	maxProxyV1 = 107  // [PROXY protocol 2.1]
	maxProxyV2 = 4096 // addresses and TLVs
)

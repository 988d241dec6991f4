// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"fmt"
	"sync/atomic"

	"emqttd/actors/cast"
	"emqttd/actors/protocol"
	"emqttd/listeners"
	"emqttd/listeners/httpd"
	"emqttd/listeners/tcp"
	"emqttd/listeners/tls"
	"emqttd/listeners/ws"
	"emqttd/supervisor/broker/config"
	"emqttd/supervisor/cell"
	"emqttd/supervisor/group"
)

// port is a listener with its actor.
type port struct {
	named config.Named
	core  *listeners.Listener
	door  *tcp.Gate
	cell  *cell.Cell
	gate  atomic.Pointer[protocol.Gate]
	key   string // in the configuration
	bound atomic.Bool
	// attached: it has no socket of its own; connections are brought to it.
	attached bool
}

// address is where the port is bound, as far as it is.
func (p *port) address() string {
	if p.attached || !p.bound.Load() {
		return string(p.named.Bind)
	}
	return p.core.Addr().String()
}

// close ends what a stop of the supervision tree did not come to.
func (p *port) close() {
	if p.bound.Swap(false) && !p.attached {
		p.core.Close()
	}
}

// leave is what a listener does before its actor stops: nobody is let in any more;
// who has knocked already is decided about.
func (p *port) leave(done func()) {
	if !p.bound.Swap(false) || p.attached {
		done()
		return
	}
	p.core.Stop(done)
}

// makePorts makes the listener actors; nothing is bound yet.
func (b *Broker) makePorts(g *group.Group) []*port {
	var out []*port
	for _, l := range b.cfg.Listeners.Active() {
		out = append(out, b.makePort(l, g))
	}
	if d := &b.cfg.Dashboard; !d.Bind.Off() && d.MQTT {
		p := b.makePort(dashboardPort(d), g)
		p.key, p.attached, p.core.Base.Name = dashboardKey, true, dashboardKey
		out = append(out, p)
	}
	return out
}

func (b *Broker) makePort(l config.Named, g *group.Group) *port {
	name := string(l.Kind) + ":" + l.Name
	p := &port{named: l, key: l.Key(), core: &listeners.Listener{Base: &cast.Listener{Name: name, Transport: string(l.Kind),
		Loopback: l.Local(), AllowAnonymous: b.cfg.AnonymousAllowed(l.Listener), CertUsername: l.TLS.PeerCertAsUsername == config.PeerCertCN}}}
	p.core.Data = p
	p.core.Backlog = l.Backlog
	p.core.Terms.Store(p.terms(l))
	p.core.Proxy = map[config.ProxyProtocol]listeners.ProxyMode{config.ProxyV1: listeners.ProxyV1,
		config.ProxyV2: listeners.ProxyV2, config.ProxyBoth: listeners.ProxyBoth}[l.ProxyProtocol]
	p.door = tcp.NewGate(p.core, b.rules(l, b.gates.Load()))
	if l.Kind == config.WS || l.Kind == config.WSS {
		m := &httpd.Memory{Gate: p.door, Env: b.env, Pub: b.pub, Access: p.gate.Load, Status: l.HTTPStatus, Publish: l.HTTPPublish}
		p.cell = cell.New(httpd.Kind(m, b.log), "listener/"+name, g, nil)
		p.core.Serve, p.core.Refused = m.Serve(p.cell), m.Refused
	} else {
		p.cell = cell.New(tcp.Kind(p.door, b.log), "listener/"+name, g, nil)
	}
	return p
}

// terms are those of l, as far as a reload may change them.
func (p *port) terms(l config.Named) *listeners.Terms {
	t := &listeners.Terms{ProxyTimeout: l.ProxyProtocolTimeout, MaxHandshake: int(l.TLS.MaxHandshake)}
	if l.Kind == config.WS || l.Kind == config.WSS {
		now := p.named
		now.AllowedOrigins, now.AllowedHosts = l.AllowedOrigins, l.AllowedHosts
		t.WS = ws.NewUpgrader(upgradeOf(now))
	}
	return t
}

func upgradeOf(l config.Named) ws.Config {
	return ws.Config{Paths: l.Paths, AllowedOrigins: l.AllowedOrigins, CheckHost: l.Local(), Hosts: l.AllowedHosts,
		Compression: l.Compression, MaxMessage: int(l.MaxMessage), MaxInflated: int(l.MaxInflated),
		AllowText: l.AllowTextFrames, MaxHeader: int(l.MaxHeader)}
}

func (b *Broker) rules(l config.Named, g *gates) *tcp.Rules {
	return &tcp.Rules{MaxConnections: l.MaxConnections, MaxRate: l.MaxConnectRate, Admit: g.admit(l), Behind: g.behind(l)}
}

// listen binds the listeners.
func (b *Broker) listen() error {
	for _, p := range b.ports {
		gate, err := b.gates.Load().gate(p.named)
		if err != nil {
			return err
		}
		p.gate.Store(gate)
		if p.attached { // whoever brings its connections has decrypted them
			p.core.Attach(b.loops)
			p.bound.Store(true)
			continue
		}
		if err := p.loadTLS(); err != nil {
			return err
		}
		if err := p.core.Listen(p.named.Bind.Network(), p.named.Bind.Target(), b.loops, p.cell); err != nil {
			return err
		}
		p.bound.Store(true)
		b.log.Info().Str("listener", p.core.Base.Name).Stringer("address", p.core.Addr()).Msg("listening")
	}
	b.warnAnonymous()
	return nil
}

// fullest is the listener that is fullest, 1 when it takes nobody any more.
func (b *Broker) fullest() (share float64, summary string) {
	for _, p := range b.ports {
		n, most := p.core.Len(), p.door.Rules().MaxConnections
		if x := float64(n) / float64(max(most, 1)); x > share {
			share, summary = x, fmt.Sprintf("%s: %d of %d connections, %d were turned away", p.core.Base.Name, n, most, p.door.Turned.Full.Load())
		}
	}
	return share, summary
}

// warnAnonymous says once that names and passwords are not looked at.
func (b *Broker) warnAnonymous() {
	for _, p := range b.ports {
		if len(b.cfg.Auth.Chain) == 0 && b.cfg.AnonymousAllowed(p.named.Listener) {
			b.log.Warn().Str("hint", "set auth.chain to check them").Msg("no authentication is configured: user names and passwords are accepted unread")
			return
		}
	}
}

func (p *port) loadTLS() error {
	if p.named.Kind != config.TLS && p.named.Kind != config.WSS {
		return nil
	}
	s, err := tls.NewServer(tlsOf(p.named))
	if err != nil {
		return fmt.Errorf("%s.tls: %w", p.named.Key(), err)
	}
	p.core.TLS = s
	return nil
}

func tlsOf(l config.Named) tls.Config {
	t := l.TLS
	return tls.Config{CertFile: t.CertFile, KeyFile: t.KeyFile, CAFile: t.CAFile, ClientAuth: tls.ClientAuth(t.ClientAuth),
		MinVersion: string(t.MinVersion)}
}

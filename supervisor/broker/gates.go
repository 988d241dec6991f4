// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"fmt"
	"net/netip"
	"time"

	"emqttd/actors/access"
	"emqttd/actors/access/acl"
	"emqttd/actors/access/passwd"
	"emqttd/actors/cast"
	"emqttd/actors/protocol"
	"emqttd/actors/store"
	"emqttd/supervisor/broker/config"
	"emqttd/supervisor/group"
)

// gates are who may come in, for all listeners of one configuration. The files
// are read here, and again by Reload.
type gates struct {
	cfg   *config.Config
	pool  *group.Pool
	bans  *access.Bans
	users *passwd.Users
	links []access.Link
	rules acl.Authorizer

	poisonings *protocol.Poisonings
	reload     []func() error
}

func newGates(cfg *config.Config, pool *group.Pool) (*gates, error) {
	bans := access.NewBans()
	g := &gates{cfg: cfg, pool: pool, bans: bans, poisonings: &protocol.Poisonings{Bans: bans}, users: passwd.NewUsers(passwd.DefaultCost)}
	cache := passwd.NewCache(cfg.Auth.CacheTTL, cfg.Auth.CacheSize)
	for name, secret := range cfg.Auth.Users {
		if err := g.addUser(name, string(secret)); err != nil {
			return nil, err
		}
	}
	for _, l := range cfg.Auth.Chain {
		link, err := g.link(l, cache)
		if err != nil {
			return nil, err
		}
		g.links = append(g.links, link)
	}
	if err := g.readRules(); err != nil {
		return nil, err
	}
	return g, g.readBans()
}

func (g *gates) addUser(name, secret string) error {
	if h, err := passwd.ParseHash(secret); err == nil {
		if err := g.users.Restore([]passwd.Record{{Name: name, Hash: h.String()}}); err != nil {
			return fmt.Errorf("auth.users.%s: %w", name, err)
		}
		return nil
	}
	if err := g.users.Add(name, []byte(secret), false); err != nil {
		return fmt.Errorf("auth.users.%s: %w", name, err)
	}
	return nil
}

func (g *gates) link(l config.Link, cache *passwd.Cache) (access.Link, error) {
	switch l.Type {
	case config.LinkPasswordFile:
		f, err := access.Open(l.Path, passwd.ParseFile)
		if err != nil {
			return nil, err
		}
		g.reload = append(g.reload, f.Reload)
		return access.PasswordFile(l.Path, f, cache), nil
	case config.LinkClientIDFile:
		f, err := access.Open(l.Path, access.ParseClientIDs)
		if err != nil {
			return nil, err
		}
		g.reload = append(g.reload, f.Reload)
		return access.ClientIDFile(l.Path, f), nil
	default:
		return access.BuiltIn("builtin", g.users, cache), nil
	}
}

func (g *gates) readRules() error {
	c := g.cfg.ACL
	p := &acl.Policy{AllowUnmatched: c.NoMatch == config.Allow}
	if c.File != "" {
		source, err := g.ruleFile(c)
		if err != nil {
			return err
		}
		p.Sources = append(p.Sources, source)
	}
	g.rules = p
	return nil
}

func (g *gates) ruleFile(c config.ACL) (acl.Authorizer, error) {
	if c.Format == config.ACLMosquitto {
		f, err := access.Open(c.File, acl.ParseMosquitto)
		if err != nil {
			return nil, err
		}
		g.reload = append(g.reload, f.Reload)
		return access.RuleFile[*acl.Mosquitto]{File: f}, nil
	}
	f, err := access.Open(c.File, acl.ParseRules)
	if err != nil {
		return nil, err
	}
	g.reload = append(g.reload, f.Reload)
	return access.RuleFile[*acl.Rules]{File: f}, nil
}

func (g *gates) readBans() error {
	now := time.Now()
	for _, e := range g.cfg.Ban.Entries {
		b := access.Ban{Until: e.Until, At: now, By: fromConfiguration, Reason: e.Reason}
		switch {
		case e.ClientID != "":
			b.Kind, b.Value = access.BanClient, e.ClientID
		case e.Username != "":
			b.Kind, b.Value = access.BanUser, e.Username
		default:
			b.Kind, b.Value = access.BanAddress, e.IP.String()
		}
		if err := g.bans.Add(now, b); err != nil {
			return err
		}
	}
	return nil
}

// gate is who may come in through one listener.
func (g *gates) gate(l config.Named) (*protocol.Gate, error) {
	links := g.links
	if l.TLS.PeerCertAsUsername == config.PeerCertCN {
		links = append([]access.Link{access.Certificate{}}, links...)
	}
	if g.cfg.AnonymousAllowed(l.Listener) {
		links = append(links[:len(links):len(links)], &access.Anonymous{AcceptCredentials: len(links) == 0})
	}
	chain, err := access.NewChain(links...)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", l.Key(), err)
	}
	var methods []access.Method
	if g.cfg.Auth.ScramSHA256 {
		methods = append(methods, access.SCRAM(g.users))
	}
	return &protocol.Gate{Chain: chain, Enhanced: access.NewEnhanced(methods...), Bans: g.bans, Rules: g.rules, Pool: g.pool,
		Poisonings: g.poisonings, Levels: g.levels(l.Listener)}, nil
}

// levels are how durable acknowledgements are through one listener.
func (g *gates) levels(l *config.Listener) *store.Levels {
	level := g.cfg.Store.Durability
	if d := l.Durability; d != "" && d != config.ListenerDurabilityDefault { // "": the page's, the process's own
		level = config.Durability(d)
	}
	out := &store.Levels{Rules: g.cfg.Store.DurabilityRules, Volatile: g.cfg.Store.Engine == config.StoreMemory}
	if level == config.DurabilityMemory {
		out.Default = cast.Memory
	}
	return out
}

// admit is the check of an address at the door.
func (g *gates) admit(l config.Named) func(netip.AddrPort) bool {
	return func(peer netip.AddrPort) bool {
		if !peer.IsValid() || l.ProxyProtocol != config.ProxyOff {
			return true // a Unix socket, or a proxy whose header tells the address
		}
		return g.welcome(l, peer)
	}
}

// behind is the same for the client that a proxy's header names.
func (g *gates) behind(l config.Named) func(netip.AddrPort) bool {
	return func(peer netip.AddrPort) bool { return !peer.IsValid() || g.welcome(l, peer) }
}

func (g *gates) welcome(l config.Named, peer netip.AddrPort) bool {
	if _, banned := g.bans.Check(time.Now(), "", "", peer.Addr()); banned {
		return false
	}
	return config.Allowed(l.Access, peer.Addr())
}

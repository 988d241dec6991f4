// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"fmt"
	"path/filepath"
	"time"

	"emqttd/actors/cast"
	"emqttd/listeners/api"
	"emqttd/listeners/tls"
	"emqttd/supervisor/broker/config"
	"emqttd/supervisor/cell"
)

// dashboardKey is the section of the configuration, and the name of the listener
// that serves /mqtt on the dashboard's port.
const dashboardKey = "dashboard"

// Files in node.data_dir.
const (
	accountsFile = "dashboard.json"
	auditFile    = "audit.log"
	// TokenFile is what emqttd_ctl reads to administer the broker of this machine.
	TokenFile = "ctl.token"
)

// dashboardPort is /mqtt on the dashboard's port as a WebSocket listener.
func dashboardPort(d *config.Dashboard) config.Named {
	kind := config.WS
	if d.TLS() {
		kind = config.WSS
	}
	l := config.DefaultListener(config.WS)
	l.Bind, l.AllowedOrigins, l.AllowedHosts = d.Bind, d.AllowedOrigins, d.AllowedHosts
	return config.Named{Kind: kind, Name: dashboardKey, Listener: l}
}

// serveDashboard starts the HTTP origin, if it is configured.
func (b *Broker) serveDashboard() error {
	d := &b.cfg.Dashboard
	if d.Bind.Off() {
		return nil
	}
	o, err := b.dashboardOptions(d)
	if err != nil {
		return err
	}
	s, err := api.New(o)
	if err != nil {
		return err
	}
	if err := s.Listen(d.Bind.Network(), d.Bind.Target()); err != nil {
		return err
	}
	b.api.Store(s)
	scheme := "http"
	if o.TLS != nil {
		scheme = "https"
	} else if !d.Local() {
		b.log.Warn().Str("hint", "set dashboard.cert_file and dashboard.key_file, or bind to 127.0.0.1").
			Msg("passwords travel in the clear to the dashboard")
	}
	b.log.Info().Str("url", scheme+"://"+s.Addr().String()).Msg("dashboard")
	return nil
}

func (b *Broker) dashboardOptions(d *config.Dashboard) (o api.Options, err error) {
	in := inspector{b}
	o = api.Options{Broker: in, Log: b.log, Page: b.page(), Metrics: b.exposition(), Extra: b.extensions(), Local: d.Local(),
		AllowedHosts: d.AllowedHosts, OpenMetrics: d.OpenMetrics, SessionTTL: d.SessionTTL, MaxSessions: d.MaxSessions,
		LoginFailures: d.LoginFailures, LoginWindow: d.LoginWindow, MaxConnections: d.MaxConnections, MaxBody: int64(d.MaxBody),
		MaxPage: d.MaxPage, MaxOffset: d.MaxOffset, MaxScan: d.MaxScan, Timeout: d.Timeout, MaxStreams: d.MaxStreams,
		StreamBuffer: d.StreamBuffer}
	if o.Accounts, err = api.OpenAccounts(b.dataFile(accountsFile), d.MaxUsers, plain(d.Administrators), plain(d.Viewers)); err != nil {
		return o, err
	}
	if o.Audit, err = api.OpenAudit(b.dataFile(auditFile), int64(d.AuditFile), d.AuditEntries, b.log); err != nil {
		return o, err
	}
	b.audit = o.Audit
	if path := b.dataFile(TokenFile); path != "" {
		if o.Token, err = api.WriteToken(path); err != nil {
			return o, fmt.Errorf("dashboard: %w", err)
		}
	}
	if d.TLS() {
		if b.dashTLS, err = tls.NewServer(tls.Config{CertFile: d.CertFile, KeyFile: d.KeyFile, NextProtos: []string{"http/1.1"}}); err != nil {
			return o, fmt.Errorf("dashboard.cert_file: %w", err)
		}
		o.TLS = b.dashTLS.Config()
	}
	if d.MQTT {
		o.MQTT = b.portOf(dashboardKey).core.ServeConn
	}
	return o, nil
}

// API is the HTTP origin of the dashboard, nil while there is none.
func (b *Broker) API() *api.Server { return b.api.Load() }

// plain is what a map of secrets hides.
func plain(m map[string]config.Secret) map[string]string {
	out := make(map[string]string, len(m))
	for name, secret := range m {
		out[name] = string(secret)
	}
	return out
}

// dataFile is the path of a file that belongs to the broker, "" where it keeps
// nothing: then what would be in it lives as long as the process.
func (b *Broker) dataFile(name string) string {
	if b.dataDir == "" {
		return ""
	}
	return filepath.Join(b.dataDir, name)
}

func (b *Broker) portOf(key string) *port {
	for _, p := range b.ports {
		if p.key == key {
			return p
		}
	}
	return nil
}

func (b *Broker) closeDashboard() error {
	if lab := b.lab.Load(); lab != nil {
		lab.Close()
	}
	if b.scope != nil {
		b.scope.Close()
	}
	var err error
	if s := b.api.Load(); s != nil {
		err = s.Close()
	}
	if b.audit != nil {
		_ = b.audit.Close() // every line was written when it was made
	}
	return err
}

// watch tells the dashboard's streams of clients that come and go. It runs on
// event loops.
func (b *Broker) watch(m cell.Message) {
	s := b.api.Load()
	if s == nil || !s.Listening() {
		return
	}
	switch m := m.(type) {
	case *cast.Client:
		s.Publish(api.Event{Type: "client.connected", At: time.Unix(0, m.ConnectedAt), Data: api.ClientEvent{At: *at(m.ConnectedAt),
			ClientID: m.ClientID, Username: m.Username, Peer: peerText(m.Peer), Protocol: m.Version.String(), Listener: m.Conn.Listener.Name}})
	case *cast.ClientGone:
		s.Publish(api.Event{Type: "client.disconnected", At: time.Unix(0, m.At), Data: api.ClientEvent{At: *at(m.At), ClientID: m.ClientID,
			Peer: peerText(m.Conn.Peer), Listener: m.Conn.Listener.Name, Reason: m.Reason}})
	}
}

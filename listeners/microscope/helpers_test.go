// SPDX-License-Identifier: Apache-2.0

package microscope_test

import (
	"context"
	"encoding/hex"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"emqttd/listeners/microscope"
	"emqttd/supervisor/broker"
	"emqttd/supervisor/broker/brokertest"
)

const (
	patience = 20 * time.Second
	tabName  = "a-random-name-of-22-or-more"
)

var (
	admin  = &microscope.Viewer{Name: "admin", Admin: true, Local: true, Host: "localhost", Here: netip.MustParseAddr("127.0.0.1")}
	viewer = &microscope.Viewer{Name: "eve", Local: true, Host: "localhost", Here: netip.MustParseAddr("127.0.0.1")}
)

func limits() microscope.Limits {
	return microscope.Limits{OtherHosts: true, MaxConnections: 4, MaxTotal: 6, MaxBytes: 1 << 20, MaxPacket: 64 << 10, MaxRate: 1 << 20,
		Idle: time.Minute, Timeout: 5 * time.Second}
}

// scope is a microscope beside a broker.
type scope struct {
	*microscope.Microscope
	t testing.TB
	b *brokertest.Broker
}

func newScope(t testing.TB, l microscope.Limits, sets ...string) *scope {
	t.Helper()
	b := brokertest.Start(t, sets...)
	m := microscope.New(microscope.Options{Limits: l, Doors: b.Doors, Inside: broker.Inside(), Taps: b})
	t.Cleanup(m.Close)
	return &scope{m, t, b}
}

// open opens a connection and waits until it is upgraded or has failed.
func (s *scope) open(url string, u microscope.Upgrade) string {
	s.t.Helper()
	c, err := s.Open(s.t.Context(), admin, tabName, microscope.Ask{URL: url, Upgrade: u})
	require.NoError(s.t, err)
	s.until(c.ID, "open or closed", func(e *microscope.Event) bool {
		return e.State != nil && (e.State.Phase == microscope.Open || e.State.Phase == microscope.Closed)
	})
	return c.ID
}

func (s *scope) events(id string) []*microscope.Event {
	s.t.Helper()
	events, err := s.Events(admin, tabName, id, microscope.Nothing)
	require.NoError(s.t, err)
	return events
}

// until waits for an event.
func (s *scope) until(id, what string, found func(*microscope.Event) bool) *microscope.Event {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	for {
		changed := s.Changed(admin, tabName)
		for _, e := range s.events(id) {
			if found(e) {
				return e
			}
		}
		select {
		case <-changed:
		case <-ctx.Done():
			var b strings.Builder
			_ = microscope.Text(&b, s.events(id))
			s.t.Fatalf("no %s:\n%s", what, b.String())
		}
	}
}

// packet waits for the nth packet of a type that came in.
func (s *scope) packet(id, kind string, nth int) *microscope.Packet {
	s.t.Helper()
	return s.until(id, kind, func(e *microscope.Event) bool {
		if e.Packet == nil || e.Packet.Out || e.Packet.Type != kind {
			return false
		}
		nth--
		return nth < 0
	}).Packet
}

func (s *scope) closed(id string) string {
	s.t.Helper()
	return s.until(id, "end", func(e *microscope.Event) bool { return e.State != nil && e.State.Phase == microscope.Closed }).State.Reason
}

func (s *scope) send(id string, o microscope.Order) {
	s.t.Helper()
	require.NoError(s.t, s.Send(admin, tabName, id, o))
}

// frames are those that went one way.
func (s *scope) frames(id string, out bool) (fs []*microscope.Frame) {
	for _, e := range s.events(id) {
		if e.Frame != nil && e.Frame.Out == out {
			fs = append(fs, e.Frame)
		}
	}
	return fs
}

func dehex(t testing.TB, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(text), ""))
	require.NoError(t, err)
	return b
}

func str(s string) *string { return &s }

// connect is the CONNECT of the article.
func connect() *microscope.Spec {
	return &microscope.Spec{Type: "CONNECT", Version: "3.1.1", ClientID: "861694030142473", Username: str("libaineu2004"),
		Password: str("12345678"), CleanStart: true, KeepAlive: 60}
}

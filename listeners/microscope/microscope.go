// SPDX-License-Identifier: Apache-2.0

package microscope

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// Limits bound the microscope; the configuration says what happens at each.
type Limits struct {
	OtherHosts     bool          // administrators may connect to other brokers
	MaxConnections int           // of one user
	MaxTotal       int           // of all users
	MaxBytes       int           // of events kept for one tab; the oldest are dropped
	MaxPacket      int           // bytes of one packet or frame, either way
	MaxRate        int           // bytes a second taken of a client that is watched
	Idle           time.Duration // a tab that nobody looks at is closed after it
	Timeout        time.Duration // for connecting, for the upgrade, for one write
}

// Options are what a microscope needs of its surroundings.
type Options struct {
	Limits Limits
	Doors  func() []Door // this broker's WebSocket listeners
	Inside Inside        // nil: the broker's inside is not shown
	Taps   Taps          // nil: its clients cannot be watched
}

// Inside looks into the broker that the microscope runs in.
type Inside interface {
	// Watch calls see for every message that an actor has handled on the way of
	// the packets of the connection whose client has address peer, from now on
	// until stop. See is called on an event loop: it may not wait.
	Watch(peer netip.AddrPort, see func(at time.Time, h *Hop)) (stop func())
}

// Microscope keeps the connections of all tabs.
type Microscope struct {
	limits Limits
	doors  func() []Door
	inside Inside
	taps   Taps

	mu      sync.Mutex
	tabs    map[string]*tab // by owner and name
	serials uint64          // connections so far
	closed  bool
	ctx     context.Context
	cancel  context.CancelFunc
	wg      sync.WaitGroup
}

// New makes a microscope; Close ends it.
func New(o Options) *Microscope {
	m := &Microscope{limits: o.Limits, doors: o.Doors, inside: o.Inside, taps: o.Taps, tabs: map[string]*tab{}}
	m.ctx, m.cancel = context.WithCancel(context.Background())
	m.wg.Go(m.sweep)
	return m
}

// Close closes every connection and waits until they are gone.
func (m *Microscope) Close() {
	m.mu.Lock()
	m.closed = true
	m.mu.Unlock()
	m.cancel()
	m.wg.Wait()
}

// sweep closes the tabs that nobody looks at.
func (m *Microscope) sweep() {
	tick := time.NewTicker(max(m.limits.Idle/8, 10*time.Millisecond))
	defer tick.Stop()
	for {
		select {
		case <-m.ctx.Done():
			return
		case now := <-tick.C:
			m.desert(now)
		}
	}
}

func (m *Microscope) desert(now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for key, t := range m.tabs {
		if t.deserted(now, m.limits.Idle) {
			delete(m.tabs, key)
			for _, c := range t.conns {
				c.shut(refuse("Nobody looked for %v.", m.limits.Idle))
			}
		}
	}
}

// maxTabs bounds the tabs of one user.
const maxTabs = 16

// minTabName is how long the random name of a tab is at least: 128 bits in
// base64.
const minTabName = 22

// tab finds or makes the tab of v by its name.
func (m *Microscope) tab(v *Viewer, name string) (*tab, error) {
	if len(name) < minTabName || len(name) > 64 {
		return nil, refuse("The parameter tab has to be a random name of %d to 64 characters.", minTabName)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return nil, refuse("The broker is shutting down.")
	}
	key := v.Name + "\x00" + name
	t := m.tabs[key]
	if t != nil {
		if !v.Admin {
			t.unwatch() // an administrator once, and no more
		}
		return t, nil
	}
	n := 0
	for _, other := range m.tabs {
		if other.owner == v.Name {
			n++
		}
	}
	if n >= maxTabs {
		return nil, refuse("There are %d tabs of %s already; close some.", n, v.Name)
	}
	t = &tab{owner: v.Name, name: name, limit: m.limits.MaxBytes, changed: make(chan struct{}), left: time.Now()}
	m.tabs[key] = t
	return t, nil
}

// admit makes room for one more connection of t's owner, or says why not. The
// oldest closed connection of the tab goes where there is no room.
func (m *Microscope) admit(t *tab) error {
	total, own := 0, 0
	for _, other := range m.tabs {
		n := len(other.snapshot())
		total += n
		if other.owner == t.owner {
			own += n
		}
	}
	if (own >= m.limits.MaxConnections || total >= m.limits.MaxTotal) && t.forgetClosed() {
		own, total = own-1, total-1
	}
	switch {
	case m.closed:
		return refuse("The broker is shutting down.")
	case own >= m.limits.MaxConnections:
		return refuse("You have %d connections under the microscope; close one (dashboard.microscope.max_connections).", own)
	case total >= m.limits.MaxTotal:
		return refuse("There are %d connections under the microscope, which is all it takes (dashboard.microscope.max_total).", total)
	}
	return nil
}

func (t *tab) snapshot() []*conn {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.conns)
}

// open begins a connection in t.
func (m *Microscope) open(t *tab, to *target, u Upgrade, insecure bool) (*conn, error) {
	if u.Key == "" {
		u.Key = base64.StdEncoding.EncodeToString(random(16))
	}
	req, err := u.request(to.url)
	if err != nil {
		return nil, refuse("%v", err)
	}
	return m.begin(t, func() *conn { return newConn(m, t, to, req, insecure) })
}

// begin runs what make makes as a connection of t, if there is room.
func (m *Microscope) begin(t *tab, make func() *conn) (*conn, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.admit(t); err != nil {
		return nil, err
	}
	t.mu.Lock()
	t.numbers++
	m.serials++
	c := make()
	t.conns = append(t.conns, c)
	t.mu.Unlock()
	m.wg.Go(c.run)
	return c, nil
}

// find is a connection of t by its id.
func (t *tab) find(id string) *conn {
	for _, c := range t.snapshot() {
		if c.id == id {
			return c
		}
	}
	return nil
}

// others are the connections of all tabs, for administrators.
func (m *Microscope) others() (out []*conn) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, t := range m.tabs {
		out = append(out, t.snapshot()...)
	}
	slices.SortFunc(out, func(a, b *conn) int { return a.opened.Compare(b.opened) })
	return out
}

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return b
}

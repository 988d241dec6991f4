// SPDX-License-Identifier: Apache-2.0

package microscope

import (
	"context"
	"errors"
	"net/netip"
	"net/url"
	"sync"
	"time"

	"emqttd/protocol/dissect"
	"emqttd/protocol/packet"
	"emqttd/protocol/parser"
)

// Taps lets look at the bytes of the broker's clients.
type Taps interface {
	// Tap calls see with the bytes that go over the connection of a client, inside
	// TLS, from now on until Tapped.Stop. It is called on the connection's event
	// loop: it may not wait. ErrNoClient: no client of the name is connected.
	Tap(ctx context.Context, client string, see func(*Chunk)) (*Tapped, error)
}

// ErrNoClient is returned by Taps for a client that is not connected.
var ErrNoClient = errors.New("microscope: no such client")

// Tapped is the connection of a client.
type Tapped struct {
	URL     url.URL        // of the listener: mqtt, mqtts, ws or wss
	Peer    netip.AddrPort // the client
	Here    netip.AddrPort // the listener's address
	Version packet.Version
	Stop    func()
	// Watch is Inside.Watch for this connection and its session.
	Watch func(see func(at time.Time, h *Hop)) (stop func())
}

// Chunk is what went over a connection at once.
type Chunk struct {
	Out    bool   // client -> broker
	Frames bool   // WebSocket frames; else MQTT bytes
	Fresh  bool   // a frame and a packet begin here
	Bytes  []byte // good during the call
	Closed string // the connection is over, for this reason; nothing else is set
}

// Glance is a wish to watch a client.
type Glance struct {
	Client string `json:"client_id"`
	Reveal bool   `json:"reveal"` // passwords and messages as they are
	Actors bool   `json:"actors"` // the broker's actors, too
}

// watched is what a connection has that is a client's own.
type watched struct {
	client string
	cover  Mask
	stop   func() // takes the look at the actors away; nil: there is none
	tapped *Tapped
	basket *basket
}

// Watch shows v, who has to be an administrator, the connection of a client,
// among the connections of the tab. What is covered is covered before it is
// kept, so nothing that is asked for later can uncover it.
func (m *Microscope) Watch(ctx context.Context, v *Viewer, tabName string, g Glance) (View, error) {
	if !v.Admin {
		return View{}, refuse("Only administrators watch clients.")
	}
	if m.taps == nil {
		return View{}, refuse("The clients of this broker cannot be watched.")
	}
	t, err := m.tab(v, tabName)
	if err != nil {
		return View{}, err
	}
	b := newBasket(m.limits, time.Now)
	tapped, err := m.taps.Tap(ctx, g.Client, b.see)
	if errors.Is(err, ErrNoClient) {
		return View{}, refuse("No client %q is connected.", g.Client)
	}
	if err != nil {
		return View{}, err
	}
	w := &watched{client: g.Client, cover: Contents, tapped: tapped, basket: b}
	if g.Reveal {
		w.cover = Nothing
	}
	c, err := m.begin(t, func() *conn {
		c := newConn(m, t, &target{url: &tapped.URL}, nil, false)
		c.watched, c.answers, c.version = w, false, tapped.Version
		if g.Actors { // from now on, as the bytes
			w.stop = tapped.Watch(c.hop)
		}
		return c
	})
	if err != nil {
		tapped.Stop()
		return View{}, err
	}
	return c.view(), nil
}

// renew begins a direction anew, at a packet.
func (d *direction) renew(way int, max int, v packet.Version) {
	role := parser.Client
	if way == outward {
		role = parser.Server
	}
	d.stream = dissect.NewStream(role, uint32(max))
	d.stream.SetVersion(v)
	d.begin, d.refused = d.offset, false
}

// basket is between the event loop, which does not wait, and who takes its bytes
// apart. What it has no room for is counted, and taken again from the next
// packet on.
type basket struct {
	now   func() time.Time
	rate  float64 // bytes a second
	most  float64 // bytes that may come at once, and that wait at most
	ready chan struct{}

	mu     sync.Mutex
	pieces []*piece
	waits  float64 // what they take of most
	ways   [2]struct {
		seen bool // up to the last byte that went
		lost int  // since it is not
	}
	tokens float64
	filled time.Time
}

// pieceCost is about what a piece takes beside its bytes, so that many small ones
// are bounded, too.
const pieceCost = 64

// piece is a chunk that waits.
type piece struct {
	Chunk
	at   time.Time
	lost int // bytes of its direction that went before it and were not taken
}

func newBasket(l Limits, now func() time.Time) *basket {
	b := &basket{now: now, rate: float64(l.MaxRate), most: float64(l.MaxRate + 2*l.MaxPacket), ready: make(chan struct{}, 1)}
	b.tokens, b.filled = b.most, now()
	return b
}

// see is called on an event loop.
func (b *basket) see(c *Chunk) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	if c.Closed != "" {
		b.put(&piece{Chunk: *c, at: now})
		return
	}
	b.tokens = min(b.most, b.tokens+b.rate*now.Sub(b.filled).Seconds())
	b.filled = now
	w := &b.ways[way(c.Out)]
	cost := float64(len(c.Bytes) + pieceCost)
	if !w.seen && !c.Fresh || b.tokens < cost || b.waits+cost > b.most {
		w.seen = false
		w.lost += len(c.Bytes)
		return
	}
	b.tokens -= cost
	b.waits += cost
	p := &piece{Chunk: *c, at: now, lost: w.lost}
	p.Bytes = append([]byte(nil), c.Bytes...)
	w.seen, w.lost = true, 0
	b.put(p)
}

func (b *basket) put(p *piece) {
	b.pieces = append(b.pieces, p)
	select {
	case b.ready <- struct{}{}:
	default:
	}
}

// take takes all that waits.
func (b *basket) take() []*piece {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := b.pieces
	b.pieces, b.waits = nil, 0
	return all
}

// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"context"
	"net"
	"sync"
	"time"

	"emqttd/protocol/client"
	"emqttd/protocol/packet"
	"emqttd/supervisor/group"
)

// World is where a run takes place: real connections and the machine's clock, or
// a simulation of both. All of it is called on the goroutine of the run.
type World interface {
	// Open begins a connection. What comes in on it is given to arrive, a packet or
	// the reason why there will be no more, while Until runs.
	Open(ctx context.Context, clientID string, v packet.Version, arrive func(packet.Packet, error)) (Line, error)
	// Until lets things happen until done says so; false: that took longer than d.
	// With d 0 it lets happen what is about to.
	Until(d time.Duration, done func() bool) bool
	// Calm says that the workload is over: from now on nothing is broken on purpose
	// that clients are allowed to notice.
	Calm()
}

// Line is the client's end of a connection.
type Line interface {
	Send(p packet.Packet) error
	Close() error
}

// network is the World of real connections. Their readers are jobs of a pool.
type network struct {
	dial    Dial
	timeout time.Duration // of a write
	pool    *group.Pool

	mu   sync.Mutex
	in   []arrival // bounded by what the clients have asked for
	wake chan struct{}
}

// arrival is a packet, or the reason why there will be no more.
type arrival struct {
	arrive func(packet.Packet, error)
	p      packet.Packet
	err    error
}

func newNetwork(dial Dial, plan Plan) *network {
	readers := linksPerDevice*(plan.Clients+2) + 1
	return &network{dial: dial, timeout: plan.Timeout, pool: group.NewPool(readers, readers), wake: make(chan struct{}, 1)}
}

// socket is a Line of a network.
type socket struct {
	net.Conn
	mc *client.Conn
}

// Send implements Line.
func (s socket) Send(p packet.Packet) error { return s.mc.Send(p) }

// Open implements World.
func (n *network) Open(ctx context.Context, clientID string, v packet.Version, arrive func(packet.Packet, error)) (Line, error) {
	nc, err := n.dial(ctx, clientID)
	if err != nil {
		return nil, err
	}
	mc := client.New(nc, client.Options{Version: v, WriteTimeout: n.timeout})
	if !n.pool.Try(func() { n.read(mc, arrive) }) {
		panic("chaos: more connections than readers")
	}
	return socket{nc, mc}, nil
}

// read is the job of one connection.
func (n *network) read(mc *client.Conn, arrive func(packet.Packet, error)) {
	for {
		p, err := mc.Receive(context.Background())
		n.mu.Lock()
		n.in = append(n.in, arrival{arrive, p, err})
		n.mu.Unlock()
		select {
		case n.wake <- struct{}{}:
		default:
		}
		if err != nil {
			return
		}
	}
}

// pump hands out what has arrived.
func (n *network) pump() {
	n.mu.Lock()
	in := n.in
	n.in = nil
	n.mu.Unlock()
	for _, a := range in {
		a.arrive(a.p, a.err)
	}
}

// Until implements World.
func (n *network) Until(d time.Duration, done func() bool) bool {
	n.pump()
	if d <= 0 || done() {
		return done()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	for {
		select {
		case <-n.wake:
			n.pump()
			if done() {
				return true
			}
		case <-timer.C:
			n.pump()
			return done()
		}
	}
}

// Calm implements World.
func (*network) Calm() {}

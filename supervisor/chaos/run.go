// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"time"

	"emqttd/protocol/client"
	"emqttd/protocol/packet"
	"emqttd/supervisor/group"
)

// Dial opens a connection to the broker for a client.
type Dial func(ctx context.Context, clientID string) (net.Conn, error)

// Run plays plan against the broker behind dial and checks what the clients
// saw. It returns when everything has settled, when it has not within the plan's
// timeout, or when ctx ends; the report says PASS or FAIL in every case. A ctx
// that ends early leaves out the rest of the workload, not the check.
//
// All clients live on the caller's goroutine; readers are jobs of a pool.
func Run(ctx context.Context, dial Dial, plan Plan) Report {
	plan = plan.withDefaults()
	r := &run{ctx: ctx, dial: dial, plan: plan, rng: rand.New(rand.NewPCG(plan.Seed, 1)), box: newInbox(),
		check: NewChecker(plan.Now, plan.Slack), pool: group.NewPool(linksPerDevice*(plan.Clients+2)+1, linksPerDevice*(plan.Clients+2)+1)}
	start := time.Now()
	r.begin()
	r.play()
	r.settle()
	report := r.check.Verdict()
	report.Seed, report.Elapsed = plan.Seed, time.Since(start)
	r.tidy()
	r.pool.Close()
	return report
}

// linksPerDevice bounds the connections of one client identifier.
const linksPerDevice = 3

type run struct {
	ctx   context.Context
	dial  Dial
	plan  Plan
	rng   *rand.Rand
	check *Checker
	pool  *group.Pool
	box   *inbox

	witness *device
	devices []*device
	serial  struct {
		conn, request int
		msg           uint64
	}
	due int64 // when the last will delay is over
}

// inbox is what the readers have read. It is bounded by what the clients have
// asked for.
type inbox struct {
	mu   sync.Mutex
	in   []arrival
	wake chan struct{} // capacity 1
}

// arrival is a packet, or the reason why there will be no more.
type arrival struct {
	l   *link
	p   packet.Packet
	err error
}

func newInbox() *inbox { return &inbox{wake: make(chan struct{}, 1)} }

func (b *inbox) put(a arrival) {
	b.mu.Lock()
	b.in = append(b.in, a)
	b.mu.Unlock()
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

func (b *inbox) take() []arrival {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := b.in
	b.in = nil
	return out
}

// read is the job of one connection.
func (b *inbox) read(l *link) {
	for {
		p, err := l.mc.Receive(context.Background())
		b.put(arrival{l, p, err})
		if err != nil {
			return
		}
	}
}

// pump handles what has arrived and reports whether something had.
func (r *run) pump() bool {
	in := r.box.take()
	for _, a := range in {
		if a.err != nil {
			a.l.ended(a.err)
			continue
		}
		a.l.handle(a.p)
	}
	return len(in) > 0
}

// until pumps until done says so; it reports false when that took longer than d.
func (r *run) until(d time.Duration, done func() bool) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	for {
		r.pump()
		if done() {
			return true
		}
		select {
		case <-r.box.wake:
		case <-timer.C:
			r.pump()
			return done()
		}
	}
}

// begin makes the clients and connects them. The witness hears everything, with
// QoS 2, and is never told to go.
func (r *run) begin() {
	r.witness = r.device("witness", packet.V311)
	r.open(r.witness, opening{clean: true})
	r.subscribe(r.witness, r.plan.Prefix+"/#", packet.QoS2)
	for i := range r.plan.Clients {
		d := r.device(fmt.Sprint("client-", i), r.plan.Versions[i%len(r.plan.Versions)])
		r.devices = append(r.devices, d)
		r.open(d, r.draw(d))
	}
}

func (r *run) device(name string, v packet.Version) *device {
	d := &device{id: r.plan.Prefix + "-" + name, version: v, payload: r.plan.Payload, record: r.check.Record, arrived: map[packet.ID]uint64{}}
	if slices.ContainsFunc(r.plan.Blame, func(glob string) bool { return like(glob, d.id) }) {
		r.check.Record(Event{Kind: Blamed, Client: d.id})
	}
	return d
}

// opening is what a CONNECT says.
type opening struct {
	clean  bool
	expiry uint32 // seconds
	will   *Will
}

// draw chooses what d's next CONNECT says.
func (r *run) draw(d *device) opening {
	o := opening{clean: !r.plan.Durable && r.rng.IntN(4) == 0, expiry: Never}
	switch {
	case r.plan.Durable:
	case d.version < packet.V5:
		if o.clean {
			o.expiry = 0
		}
	default:
		o.expiry = []uint32{0, Never, Never, 3600}[r.rng.IntN(4)]
	}
	if r.rng.IntN(2) == 0 {
		o.will = &Will{Msg: r.number(), Topic: r.plan.own("will", d.id), QoS: packet.QoS(1 + r.rng.IntN(2))}
		if d.version == packet.V5 && r.plan.WillDelay > 0 {
			o.will.Delay = uint32(r.rng.IntN(r.plan.WillDelay + 1))
		}
	}
	return o
}

func (r *run) number() uint64 { r.serial.msg++; return r.serial.msg }

// open connects d, beside a connection that it may have, and waits for the
// answer.
func (r *run) open(d *device, o opening) {
	if len(d.links) >= linksPerDevice {
		d.links[0].close(ByClient, 0, "")
	}
	r.serial.conn++
	l := &link{n: r.serial.conn, dev: d, clean: o.clean, requests: map[packet.ID]int{}, ghosts: map[packet.ID]uint64{}}
	e := l.event(Opened)
	e.Clean, e.Expiry, e.Will = o.clean, o.expiry, o.will
	d.record(e)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.ctx), r.plan.Timeout)
	nc, err := r.dial(ctx, d.id)
	cancel()
	if err != nil {
		e := l.event(Closed)
		e.By, e.Text = ByServer, err.Error()
		d.record(e)
		return
	}
	l.nc, l.mc = nc, client.New(nc, client.Options{Version: d.version, WriteTimeout: r.plan.Timeout})
	d.links, d.cur = append(d.links, l), l
	l.send(d.connect(o))
	if !r.pool.Try(func() { r.box.read(l) }) {
		panic("chaos: more connections than readers")
	}
	r.until(r.plan.Timeout, func() bool { return l.ready || l.closed })
}

func (d *device) connect(o opening) *packet.Connect {
	c := &packet.Connect{Version: d.version, ClientID: d.id, CleanStart: o.clean}
	if d.version == packet.V5 {
		c.Properties = (&packet.Properties{SessionExpiry: o.expiry}).Set(packet.PropSessionExpiry)
	}
	if w := o.will; w != nil {
		c.Will = &packet.Will{QoS: w.QoS, Retain: w.Retain, Topic: w.Topic, Payload: payload(w.Msg, 0)}
		if w.Delay > 0 {
			c.Will.Properties = (&packet.Properties{WillDelay: w.Delay}).Set(packet.PropWillDelay)
		}
	}
	return c
}

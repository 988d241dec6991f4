// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"time"

	"emqttd/protocol/packet"
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
	w := newNetwork(dial, plan)
	r := newRun(ctx, w, plan)
	report := r.report()
	r.tidy()
	w.pool.Close()
	return report
}

// RunIn is Run in a world of the caller's, which is left as the workload has
// made it.
func RunIn(ctx context.Context, w World, plan Plan) Report {
	return newRun(ctx, w, plan.withDefaults()).report()
}

// linksPerDevice bounds the connections of one client identifier.
const linksPerDevice = 3

type run struct {
	ctx   context.Context
	world World
	plan  Plan
	rng   *rand.Rand
	check *Checker

	witness *device
	devices []*device
	serial  struct {
		conn, request int
		msg           uint64
	}
	due int64 // when the last will delay is over
}

func newRun(ctx context.Context, w World, plan Plan) *run {
	return &run{ctx: ctx, world: w, plan: plan, rng: rand.New(rand.NewPCG(plan.Seed, 1)), check: NewChecker(plan.Now, plan.Slack)}
}

func (r *run) report() Report {
	start := r.plan.Now()
	r.begin()
	r.play()
	r.world.Calm()
	r.settle()
	report := r.check.Verdict()
	report.Seed, report.Elapsed = r.plan.Seed, time.Duration(r.plan.Now()-start)
	return report
}

func (r *run) until(d time.Duration, done func() bool) bool { return r.world.Until(d, done) }

// begin makes the clients and connects them. The witness hears everything, with
// QoS 2, and is never told to go.
func (r *run) begin() {
	r.witness = r.device("witness", packet.V311)
	r.hear()
	for i := range r.plan.Clients {
		d := r.device(fmt.Sprint("client-", i), r.plan.Versions[i%len(r.plan.Versions)])
		r.devices = append(r.devices, d)
		r.open(d, r.draw(d))
		if r.plan.Team {
			r.subscribe(d, r.plan.team(), packet.QoS2)
		}
	}
}

// hear connects the witness.
func (r *run) hear() {
	r.open(r.witness, opening{clean: true})
	r.subscribe(r.witness, r.plan.Prefix+"/#", packet.QoS2)
}

func (r *run) device(name string, v packet.Version) *device {
	d := &device{id: r.plan.Prefix + "-" + name, version: v, payload: r.plan.Payload, record: r.check.Record, memory: r.plan.Memory, arrived: map[packet.ID]uint64{}, doubtful: map[packet.ID]bool{}}
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
	l := newLink(r.serial.conn, d, o.clean)
	e := l.event(Opened)
	e.Clean, e.Expiry, e.Will, e.Memory = o.clean, o.expiry, o.will, r.plan.Memory(d.id, "")
	d.record(e)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.ctx), r.plan.Timeout)
	line, err := r.world.Open(ctx, d.id, d.version, l.arrive)
	cancel()
	if err != nil {
		e := l.event(Closed)
		e.By, e.Text = ByServer, err.Error()
		d.record(e)
		return
	}
	l.line = line
	d.links, d.cur = append(d.links, l), l
	d.cleaned, d.brief = d.cleaned || o.clean || d.brief, o.expiry == 0
	l.send(d.connect(o))
	if r.plan.Hasty && r.rng.IntN(2) == 0 {
		return
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

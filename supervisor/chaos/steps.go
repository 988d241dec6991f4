// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"slices"
	"time"

	"emqttd/protocol/packet"
)

// play does the steps of the plan.
func (r *run) play() {
	for step := range r.plan.Steps {
		if r.ctx.Err() != nil {
			return
		}
		if r.plan.Each != nil {
			r.plan.Each(step, r.check.Record)
		}
		r.until(r.plan.Pace, func() bool { return false })
		if r.witness.cur == nil && r.rng.IntN(2) == 0 {
			r.hear() // the broker was killed
		}
		r.step(r.devices[r.rng.IntN(len(r.devices))], r.plan.Odds.choose(r.rng))
	}
}

// step lets d do something; without a connection all it can do is to return.
func (r *run) step(d *device, what op) {
	if d.cur == nil || !d.cur.ready {
		if what == opReturn || r.rng.IntN(8) == 0 {
			r.open(d, r.draw(d))
		}
		return
	}
	switch what {
	case opPublish:
		r.publish(d, r.plan.live(r.rng.IntN(sharedTopics)), packet.QoS(r.rng.IntN(3)), false, false)
	case opRetain:
		r.publish(d, r.plan.own("kept", d.id), packet.QoS(1+r.rng.IntN(2)), true, r.rng.IntN(5) == 0)
	case opSubscribe:
		r.subscribe(d, r.plan.filter(r.rng, d.id), packet.QoS(1+r.rng.IntN(2)))
	case opUnsubscribe:
		r.unsubscribe(d)
	case opDrop:
		r.note()
		d.cur.close(ByClient, 0, "")
	case opLeave:
		r.leave(d)
	case opTakeover:
		r.takeover(d)
	case opRepeat:
		r.repeat(d)
	case opVanish:
		d.vanishes = true
	}
}

// publish waits while the window is full, as a client does.
func (r *run) publish(d *device, topic string, qos packet.QoS, retain, empty bool) {
	l := d.cur
	if l == nil || !r.until(r.plan.Timeout, func() bool { return l.closed || len(d.inflight) < r.plan.Window }) || l.closed {
		return
	}
	d.say(l, r.number(), topic, qos, retain, empty)
}

// repeat publishes, and once more before the answer has come. A client may do so
// before 5.0 [v3.1.1 4.4]; from then on only a new connection is a reason
// [v5 MQTT-4.4.0-1].
func (r *run) repeat(d *device) {
	topic, retain := r.plan.live(r.rng.IntN(sharedTopics)), r.rng.IntN(2) == 0
	if retain {
		topic = r.plan.own("kept", d.id)
	}
	l := d.cur
	r.publish(d, topic, packet.QoS2, retain, false)
	if r.rng.IntN(2) == 0 {
		r.until(0, func() bool { return false }) // the first may be in work
	}
	if d.version < packet.V5 && d.cur == l {
		d.repeat(l)
	}
}

// subscribe always asks a filter with one QoS: what is granted to whom is then
// clear.
func (r *run) subscribe(d *device, filter string, qos packet.QoS) {
	if d.cur == nil || !d.cur.ready {
		return
	}
	if i := slices.IndexFunc(d.filters, func(f packet.Subscription) bool { return f.Filter == filter }); i >= 0 {
		qos = d.filters[i].QoS
	} else {
		d.filters = append(d.filters, packet.Subscription{Filter: filter, QoS: qos})
	}
	subs := []packet.Subscription{{Filter: filter, QoS: qos}}
	id := r.request(d, Subscribing, subs)
	d.cur.send(&packet.Subscribe{ID: id, Subscriptions: subs})
}

func (r *run) unsubscribe(d *device) {
	if len(d.filters) == 0 {
		return
	}
	i := r.rng.IntN(len(d.filters))
	f := d.filters[i]
	d.filters = slices.Delete(d.filters, i, i+1)
	id := r.request(d, Unsubscribing, []packet.Subscription{f})
	d.cur.send(&packet.Unsubscribe{ID: id, Filters: []string{f.Filter}})
}

func (r *run) request(d *device, k EventKind, filters []packet.Subscription) packet.ID {
	r.serial.request++
	id := d.fresh(d.cur)
	d.cur.requests[id] = r.serial.request
	e := d.cur.event(k)
	e.Request, e.Filters = r.serial.request, filters
	d.record(e)
	return id
}

// note remembers until when the will of a connection that ends now may come.
func (r *run) note() {
	r.due = max(r.due, r.plan.Now()+int64(r.plan.WillDelay)*int64(time.Second))
}

// leave says goodbye and waits for the broker to close.
func (r *run) leave(d *device) {
	l := d.cur
	e := l.event(Disconnecting)
	p := &packet.Disconnect{}
	if d.version == packet.V5 {
		switch what := r.rng.IntN(3); {
		case what == 0:
			p.Code, e.Code = packet.DisconnectWithWill, packet.DisconnectWithWill
		case what == 1 && !r.plan.Durable:
			// A session without expiry cannot be given one [v5 MQTT-3.14.2-2]; 0 is
			// always allowed.
			p.Properties = (&packet.Properties{}).Set(packet.PropSessionExpiry)
			e.HasExpiry, d.brief = true, true
		}
	}
	r.note()
	d.record(e)
	l.send(p)
	if !r.until(r.plan.Timeout, func() bool { return l.closed }) {
		l.close(ByClient, 0, "the broker did not close after DISCONNECT")
	}
}

// takeover connects a second time, with publishes under way on the first
// connection, and at times tries to go on there.
func (r *run) takeover(d *device) {
	old := d.cur
	for range r.rng.IntN(3) {
		r.publish(d, r.plan.live(r.rng.IntN(sharedTopics)), packet.QoS(r.rng.IntN(3)), false, false)
	}
	if old.closed {
		return
	}
	r.note()
	r.open(d, r.draw(d))
	if d.cur != nil && d.cur.ready && !old.closed && r.rng.IntN(2) == 0 {
		old.haunt(r.number(), r.plan.live(0))
	}
}

// settle connects everybody, lets a new client connect, and waits until the
// contract is kept or the time is over.
func (r *run) settle() {
	for _, d := range append(r.devices, r.witness) {
		if d.cur == nil || !d.cur.ready {
			r.open(d, opening{expiry: Never, clean: d == r.witness})
		}
	}
	after := r.device("after", packet.V311)
	r.open(after, opening{clean: true})
	r.devices = append(r.devices, after)
	for _, e := range r.check.Events() {
		switch delay := int64(r.plan.WillDelay) * int64(time.Second); e.Kind {
		case Restarted:
			r.due = max(r.due, e.At+int64(RestartGrace)+delay)
		case Closed:
			r.due = max(r.due, e.At+delay)
		}
	}
	end := r.plan.Now() + int64(r.plan.Timeout)
	if rest := time.Duration(r.due-r.plan.Now()) + r.plan.Slack + 50*time.Millisecond; r.due > 0 && rest > 0 {
		r.until(rest, func() bool { return false })
	}
	r.until(20*time.Millisecond, func() bool { return false })
	r.subscribe(after, r.plan.own("kept", "+"), packet.QoS1) // what is retained now that every PUBLISH has its answer
	r.until(r.plan.Timeout, func() bool { return after.cur == nil || len(after.cur.requests) == 0 })
	for wait := 20 * time.Millisecond; ; wait *= 2 {
		r.until(wait, func() bool { return false })
		events := append(r.check.Events(), Event{At: r.plan.Now(), Kind: Settled})
		if len(Check(events, r.plan.Slack)) == 0 || r.plan.Now() > end {
			break
		}
	}
	r.check.Record(Event{Kind: Settled})
}

// tidy removes what the run leaves on the broker: retained messages, sessions.
// The verdict is out; nothing of it is recorded.
func (r *run) tidy() {
	all := append(r.devices, r.witness)
	for _, d := range all {
		d.record = func(Event) {}
		if d.cur != nil && d.cur.ready {
			r.publish(d, r.plan.own("kept", d.id), packet.QoS1, true, true)
		}
	}
	r.until(r.plan.Timeout, func() bool {
		return !slices.ContainsFunc(all, func(d *device) bool { return d.cur != nil && len(d.inflight) > 0 })
	})
	for _, d := range all {
		for len(d.links) > 0 {
			d.links[0].send(&packet.Disconnect{})
			d.links[0].close(ByClient, 0, "")
		}
		r.open(d, opening{clean: true})
		if l := d.cur; l != nil {
			l.send(&packet.Disconnect{})
			r.until(time.Second, func() bool { return l.closed })
			l.close(ByClient, 0, "")
		}
	}
}

// SPDX-License-Identifier: Apache-2.0

package cell_test

// move is a step and where it leads.
type move struct {
	name string
	to   state
}

// moves are the steps that s allows; normal is how many of them are no faults.
func (r *rules) moves(s state) (out []move, normal int) {
	add := func(name string, step func(s *state)) {
		t := s
		step(&t)
		out = append(out, move{name, t})
	}
	if s.flying == none && s.begun < messages {
		add("publisher begins a message", func(s *state) {
			s.flying = publish
			s.begun++
			s.toBroker.push(rec{kind: publish, id: 1, msg: s.begun - 1})
		})
	}
	if s.toPublisher.n > 0 {
		add("publisher is answered", func(s *state) { s.publisher(s.toPublisher.pop()) })
	}
	r.protocolMoves(&s, add)
	if s.pending.n > 0 {
		add("the store's group is durable", (*state).sync)
	}
	r.sessionMoves(&s, add)
	if s.toSubscriber.n > 0 {
		add("subscriber receives", func(s *state) { r.subscriber(s, s.toSubscriber.pop()) })
	}
	normal = len(out)
	r.faults(&s, add)
	return out, normal
}

func (s *state) publisher(p rec) {
	switch {
	case p.kind == pubrec && s.flying != none:
		s.flying = pubrel
		s.toBroker.push(rec{kind: pubrel, id: 1})
	case p.kind == puback && s.flying == publish, p.kind == pubcomp && s.flying == pubrel:
		s.flying = none
	}
}

// protocolMoves: effects that are left come before the next message.
func (r *rules) protocolMoves(s *state, add func(string, func(*state))) {
	switch {
	case s.effects.n > 0:
		add("protocol performs", func(s *state) { r.perform(s, s.effects.pop()) })
		return
	case s.answered.n > 0:
		add("protocol hears of its commit", func(s *state) { s.effects.push(act{do: s.answered.pop()}) })
	}
	if s.toBroker.n == 0 {
		return
	}
	add("protocol decides", func(s *state) { r.protocol(s, s.toBroker.pop()) })
	if p := s.toBroker.a[0]; r.dirtyDecide && s.crashes > 0 && p.kind == publish && !r.qos1 {
		add("protocol crashes behind its first write", func(s *state) {
			s.crashes--
			s.await = true
		})
	}
}

// protocol decides about a packet of the publisher.
func (r *rules) protocol(s *state, p rec) {
	if p.kind == pubrel {
		r.pubrel(s)
		return
	}
	ack := rec{kind: pubrec, id: s.conn}
	if r.qos1 {
		ack.kind = puback
	} else if s.await {
		r.repeat(s, ack)
		return
	} else {
		s.await = true
	}
	commit := act{do: rec{kind: opAdd, msg: p.msg}, then: ack}
	switch {
	case r.earlyDispatch:
		s.effects.push(act{do: rec{kind: dispatch, msg: p.msg, at: unknown}})
	case r.earlyAck:
		commit.then = rec{}
	}
	s.effects.push(commit)
	if r.earlyAck {
		s.effects.push(act{do: ack})
	}
}

func (r *rules) pubrel(s *state) {
	ack := rec{kind: pubcomp, id: s.conn}
	switch {
	case !s.await:
		r.repeat(s, ack)
	case r.lazyPubrel:
		s.effects.push(act{do: rec{kind: opDelAwait}})
		s.effects.push(act{do: ack})
	default:
		s.effects.push(act{do: rec{kind: opDelAwait}, then: ack})
	}
	s.await = false
}

// repeat answers what has been answered before: behind the commit of the first.
func (r *rules) repeat(s *state, ack rec) {
	if r.repeatFromMemory {
		s.effects.push(act{do: ack})
		return
	}
	s.effects.push(act{do: rec{kind: opNothing}, then: ack})
}

// perform does an effect.
func (r *rules) perform(s *state, a act) {
	switch a.do.kind {
	case puback, pubrec, pubcomp:
		if a.do.id == s.conn { // else nobody is there to read it
			s.toPublisher.push(a.do)
		}
	case publish, pubrel:
		s.toSubscriber.push(a.do)
	case dispatch:
		s.mail.push(a.do)
	default:
		if a.do.kind == opAdd && !r.earlyDispatch {
			s.mail.push(rec{kind: dispatch, msg: a.do.msg, at: s.next()})
		}
		s.pending.push(a)
	}
}

// next is the place in the log that the store gives next.
func (s *state) next() uint8 {
	n := s.disk.log.n
	for _, a := range s.pending.all() {
		if a.do.kind == opAdd {
			n++
		}
	}
	return n
}

func (s *state) sync() {
	for _, a := range s.pending.all() {
		s.disk.apply(a.do)
		switch a.then.kind {
		case none:
		case publish, pubrel:
			s.outside.push(act{do: a.then})
		default:
			s.answered.push(a.then)
		}
	}
	s.pending = list[act]{}
}

func (r *rules) sessionMoves(s *state, add func(string, func(*state))) {
	if s.outside.n > 0 {
		add("session performs", func(s *state) { r.perform(s, s.outside.pop()) })
		return
	}
	if s.mail.n > 0 {
		add("session takes a dispatch", func(s *state) {
			s.queue.push(s.mail.pop())
			r.fill(s)
		})
	}
	if s.toSession.n > 0 {
		add("session is acknowledged", func(s *state) {
			r.acknowledged(s, s.toSession.pop())
			r.fill(s)
		})
	}
}

// fill sends the next message; the subscriber takes one at a time.
func (r *rules) fill(s *state) {
	const ids = 4
	if s.queue.n == 0 || s.sent.n > 0 {
		return
	}
	m := s.queue.pop()
	m.kind, m.id = publish, 1+s.ids%ids
	s.ids++
	s.sent.push(m)
	if r.qos1 || r.freshIDs {
		s.outside.push(act{do: m})
		return
	}
	s.outside.push(act{do: rec{opPut, m.id, m.msg, m.at, false}, then: m})
}

func (r *rules) acknowledged(s *state, p rec) {
	rel := rec{kind: pubrel, id: p.id}
	for i := range s.sent.all() {
		f := &s.sent.a[i]
		switch {
		case f.id != p.id:
		case p.kind == pubrec:
			f.rel = true
			record := act{do: rec{opPut, f.id, f.msg, f.at, true}}
			if r.freshIDs {
				record.do = rec{kind: opNothing}
			}
			if r.lazyPubrec {
				s.outside.push(record)
				s.outside.push(act{do: rel})
			} else {
				record.then = rel
				s.outside.push(record)
			}
			return
		case p.kind == puback || f.rel:
			s.outside.push(act{do: rec{opDel, f.id, f.msg, f.at, false}}) // lazy
			s.sent = s.sent.without(i)
			return
		}
	}
	if p.kind == pubrec {
		s.outside.push(act{do: rel})
	}
}

func (r *rules) subscriber(s *state, p rec) {
	bit := uint8(1) << p.id
	switch {
	case p.kind == pubrel:
		s.held &^= bit
		s.toSession.push(rec{kind: pubcomp, id: p.id})
		return
	case r.qos1:
		s.toSession.push(rec{kind: puback, id: p.id})
	default:
		s.toSession.push(rec{kind: pubrec, id: p.id})
		if s.held&bit != 0 {
			return
		}
		s.held |= bit
	}
	s.got[p.msg] = min(2, s.got[p.msg]+1)
}

// faults: a crash in decide leaves everything as it was, and one between two
// effects that are each one act does, too; so the reference has no moves for them.
func (r *rules) faults(s *state, add func(string, func(*state))) {
	for _, actor := range []struct {
		name string
		of   func(*state) *list[act]
	}{{"protocol", func(s *state) *list[act] { return &s.effects }}, {"session", func(s *state) *list[act] { return &s.outside }}} {
		if s.crashes == 0 || actor.of(s).n == 0 {
			continue
		}
		if r.redo {
			add(actor.name+" crashes: effect done, not struck", func(s *state) {
				s.crashes--
				r.perform(s, actor.of(s).a[0])
			})
		}
		if r.skip {
			add(actor.name+" crashes: effect struck, not done", func(s *state) {
				s.crashes--
				actor.of(s).pop()
			})
		}
	}
	if s.drops > 0 && s.flying != none {
		add("publisher's connection breaks", func(s *state) {
			s.drops--
			s.reconnect()
		})
	}
	for durable := range int(s.pending.n) + 1 {
		if s.kills > 0 {
			add("kill -9, "+string(rune('0'+durable))+" pending commits durable", func(s *state) {
				s.kills--
				r.restart(s, durable)
			})
		}
	}
}

func (s *state) reconnect() {
	s.conn++
	s.toBroker, s.toPublisher = list[rec]{}, list[rec]{}
	if s.flying != none {
		s.toBroker.push(rec{kind: s.flying, id: 1, msg: s.begun - 1})
	}
}

// restart: what is in memory is what is on disk.
func (r *rules) restart(s *state, durable int) {
	for _, a := range s.pending.a[:durable] {
		s.disk.apply(a.do)
	}
	t := state{begun: s.begun, flying: s.flying, conn: s.conn, disk: s.disk, await: s.disk.await && !r.qos1,
		held: s.held, got: s.got, kills: s.kills, crashes: s.crashes, drops: s.drops}
	taken := t.disk.done
	for _, f := range t.disk.sent.all() {
		if f.at != unknown {
			if taken&(1<<f.at) != 0 {
				continue
			}
			taken |= 1 << f.at
		}
		t.sent.push(f)
		t.ids = max(t.ids, f.id)
		p := f
		if f.rel {
			p = rec{kind: pubrel, id: f.id}
		}
		t.outside.push(act{do: p})
	}
	for i, m := range t.disk.log.all() {
		if taken&(1<<i) == 0 {
			t.queue.push(rec{kind: dispatch, msg: m, at: uint8(i)})
		}
	}
	t.reconnect()
	r.fill(&t)
	*s = t
}

// SPDX-License-Identifier: Apache-2.0

package session

import (
	"slices"

	"emqttd/protocol/packet"
	"emqttd/supervisor/cell"
	"emqttd/supervisor/mailbox"
)

// change subscribes or unsubscribes a session on behalf of its client: emqttd's
// subscriptions add and del, which the client is not told of. operator -> session.
type change struct {
	mailbox.Link
	add    []packet.Subscription
	remove []string
	done   func([]packet.ReasonCode)
}

// Release implements cell.Releaser: a change that was not taken up has no answer.
func (c *change) Release() { c.done(nil) }

// Subscribe adds subscriptions to the session whose cell is c, connected or not.
// done is called once, on the session's group, with a code for each when they are
// effective, and durable if the session is; nil says that the session has ended.
// It must not wait.
func Subscribe(c *cell.Cell, done func([]packet.ReasonCode), subs ...packet.Subscription) {
	c.Push(&change{add: subs, done: done})
}

// Unsubscribe removes subscriptions, as Subscribe adds them.
func Unsubscribe(c *cell.Cell, done func([]packet.ReasonCode), filters ...string) {
	c.Push(&change{remove: filters, done: done})
}

// changed tells the operator; it is an effect, so that what is told has happened.
type changed struct {
	mailbox.Link
	codes []packet.ReasonCode
}

// teller is a done function as an acceptor.
type teller func([]packet.ReasonCode)

// Accept implements cell.Acceptor.
func (t teller) Accept(m cell.Message) { t(m.(*changed).codes) }

func (st *stage) change(msg *change) {
	st.x.Keep()
	if st.s.destroyed || st.s.over {
		st.x.Submit(teller(msg.done), &changed{})
		return
	}
	p := &pendingSubscribe{tell: msg.done}
	var e edit
	for _, want := range msg.add {
		if st.s.conn == nil {
			want.RetainHandling = 2 // what is retained is the client's when it is there
		}
		p.codes = append(p.codes, st.subscribeOne(&e, want, nil))
	}
	for _, filter := range msg.remove {
		code, _ := st.unsubscribeOne(&e, filter)
		p.codes = append(p.codes, code)
	}
	st.carryOut(&e, p)
}

// forgetAsked drops what is under way of SUBSCRIBE and UNSUBSCRIBE with the session;
// an operator is told.
func (st *stage) forgetAsked() {
	var all []uint64
	for token := range st.asked.All {
		all = append(all, token)
	}
	slices.Sort(all) // the order of a map decides nothing
	for _, token := range all {
		if p, still := st.asked.Get(st.x, token); still && p.tell != nil {
			st.x.Submit(teller(p.tell), &changed{})
		}
		st.asked.Delete(st.x, token)
	}
}

// told ends a change: the operator is told, and what is retained is owed.
func (st *stage) told(p *pendingSubscribe) {
	st.x.Submit(teller(p.tell), &changed{codes: p.codes})
	st.owe(p.lookup)
}

// SPDX-License-Identifier: Apache-2.0

package sys

import (
	"emqttd/actors/router"
	"emqttd/actors/session"
	"emqttd/protocol/message"
	"emqttd/protocol/packet"
	"emqttd/protocol/topic"
	"emqttd/supervisor/cell"
)

// outlet publishes what one decision has to say.
type outlet struct {
	ctx *cell.Context
	pub *session.Publisher
}

// live publishes to those who have subscribed.
func (o *outlet) live(name, payload string) {
	if f := o.wanted(name); f != nil {
		o.send(f, payload)
	}
}

// wanted is who has subscribed to a topic, nil when nobody has: then the message
// is neither made nor counted. Whoever gets a list gives it to send.
func (o *outlet) wanted(name string) *router.Fanout {
	lim := o.pub.Env.Limits()
	if topic.ValidName(name, lim.Topics) != nil {
		return nil // the broker keeps to the limits that it sets
	}
	f := o.pub.Table.Match(name, router.Options{Strategy: lim.SharedStrategy, Steps: lim.MatchSteps})
	if f.Targets() == 0 {
		f.Discard()
		return nil
	}
	return f
}

// send is all that a publish at QoS 0 is when it is not retained.
func (o *outlet) send(f *router.Fanout, payload string) {
	o.ctx.Fan(f.First(o.message(f.Topic(), payload)))
}

// keep publishes a retained message, unless the one that is retained says the
// same. If on is false it takes away what is retained.
func (o *outlet) keep(on bool, name, payload string) {
	lim := o.pub.Env.Limits()
	if topic.ValidName(name, lim.Topics) != nil {
		return
	}
	old, there := o.pub.Retained.Peek(name)
	if !on {
		if there {
			o.retain(name, "")
		}
		return
	}
	if !lim.Retain {
		o.live(name, payload)
		return
	}
	if old == nil || string(old.Payload) != payload {
		o.retain(name, payload)
	}
}

func (o *outlet) retain(name, payload string) {
	m := o.message(name, payload)
	m.Retain = true
	o.pub.Publish(o.ctx, m, session.Publishing{})
}

// message has no publisher: an empty From is nobody's client id, so No Local
// keeps it from nobody.
func (o *outlet) message(name, payload string) *message.Message {
	return &message.Message{Topic: name, Payload: []byte(payload), QoS: packet.QoS0, At: o.ctx.Now()}
}

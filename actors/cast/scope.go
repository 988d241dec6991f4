// SPDX-License-Identifier: Apache-2.0

package cast

import (
	"emqttd/protocol/message"
	"emqttd/protocol/packet"
	"emqttd/supervisor/chaos"
)

// The messages below say whose they are, for faults that are meant for one
// client or topic only. They are asked while such a fault is armed for their
// place, and never else. A batch speaks of the part in work.

// ChaosScope implements chaos.Scoped: the topic of a PUBLISH, the client
// identifier of a CONNECT.
func (r *Received) ChaosScope() chaos.Scope {
	switch p := r.Current().(type) {
	case *packet.Publish:
		return chaos.Scope{Topic: string(p.Topic)}
	case *packet.Connect:
		return chaos.Scope{Client: p.ClientID}
	}
	return chaos.Scope{}
}

// ChaosScope implements chaos.Scoped.
func (s *StartSession) ChaosScope() chaos.Scope {
	return chaos.Scope{Client: s.ClientID, Listener: s.Conn.Listener.Name}
}

// ChaosScope implements chaos.Scoped.
func (a *Attach) ChaosScope() chaos.Scope { return a.Start.ChaosScope() }

// ChaosScope implements chaos.Scoped.
func (e *Expired) ChaosScope() chaos.Scope { return chaos.Scope{Client: e.ClientID} }

// ChaosScope implements chaos.Scoped: the topic of the first message.
func (d *Dispatch) ChaosScope() chaos.Scope { return firstOf(d.Messages) }

// ChaosScope implements chaos.Scoped: the topic of the first message.
func (m *Matched) ChaosScope() chaos.Scope { return firstOf(m.Messages) }

func firstOf(m []*message.Message) chaos.Scope {
	if len(m) == 0 {
		return chaos.Scope{}
	}
	return chaos.Scope{Topic: m[0].Topic}
}

// ChaosScope implements chaos.Scoped: the topic of the first message.
func (d *Deliver) ChaosScope() chaos.Scope {
	if len(d.Deliveries) == 0 {
		return chaos.Scope{}
	}
	return chaos.Scope{Topic: d.Deliveries[0].Message.Topic}
}

// ChaosScope implements chaos.Scoped: the topic of the first message.
func (b *Releases) ChaosScope() chaos.Scope {
	for i := range b.Items {
		if m := b.Items[i].Message; m != nil {
			return chaos.Scope{Topic: m.Topic}
		}
	}
	return chaos.Scope{}
}

// ChaosScope implements chaos.Scoped.
func (r *Redispatch) ChaosScope() chaos.Scope { return chaos.Scope{Topic: r.Message.Topic} }

// ChaosScope implements chaos.Scoped: the client whose subscriptions they are.
func (r *Route) ChaosScope() chaos.Scope {
	if len(r.Changes) == 0 {
		return chaos.Scope{}
	}
	return chaos.Scope{Client: r.Changes[0].Either().ClientID}
}

// ChaosScope implements chaos.Scoped.
func (c *ClientConnected) ChaosScope() chaos.Scope { return chaos.Scope{Client: c.ClientID} }

// ChaosScope implements chaos.Scoped.
func (c *ClientDisconnected) ChaosScope() chaos.Scope { return chaos.Scope{Client: c.ClientID} }

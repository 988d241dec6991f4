// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"fmt"

	"emqttd/actors/store"
	"emqttd/supervisor"
	"emqttd/supervisor/cell"
	"emqttd/supervisor/group"
)

// tree is the boot list: what is further down may use what is further up, and is
// stopped before it.
func (b *Broker) tree(g *group.Group) *supervisor.Supervisor {
	b.ports = b.makePorts(g)
	children := []supervisor.Child{
		b.service(b.env.Store, func(done func()) { store.Flush(b.env.Store, done) }),
		b.service(b.env.Retainer, nil),
		b.poolOf("pubsub_sup", g, b.children(b.env.Router)),
		b.poolOf("sm_sup", g, b.children(b.env.SM)),
		b.service(b.env.Sys, nil),
	}
	for _, l := range b.loops {
		s := supervisor.New(fmt.Sprintf("session_sup/%d", l.Index()), l.Group(),
			supervisor.Options{Strategy: supervisor.SimpleOneForOne, Shutdown: b.cfg.Runtime.ChildShutdown}, b.log)
		b.env.SessionSup = append(b.env.SessionSup, s.Cell())
		children = append(children, supervisor.Child{Cell: s.Cell(), Supervisor: s})
	}
	for _, l := range b.loops { // whose clients may have their sessions on any loop
		children = append(children, supervisor.Child{Cell: l.Supervisor().Cell(), Supervisor: l.Supervisor()})
	}
	var ports []supervisor.Child
	for _, p := range b.ports {
		ports = append(ports, b.service(p.cell, p.leave))
	}
	children = append(children, b.poolOf("esockd_sup", g, ports))
	return supervisor.New("emqttd_sup", g, b.intensity(supervisor.OneForOne, children...), b.log)
}

// service is a child that all connections share; leave is what it does before it
// stops, nil for nothing.
func (b *Broker) service(c *cell.Cell, leave func(done func())) supervisor.Child {
	return supervisor.Child{Cell: c, Shutdown: b.cfg.Runtime.ChildShutdown, Leave: leave}
}

func (b *Broker) children(cells []*cell.Cell) (out []supervisor.Child) {
	for _, c := range cells {
		out = append(out, b.service(c, nil))
	}
	return out
}

// poolOf is a supervisor of services.
func (b *Broker) poolOf(name string, g *group.Group, children []supervisor.Child) supervisor.Child {
	s := supervisor.New(name, g, b.intensity(supervisor.OneForOne, children...), b.log)
	return supervisor.Child{Cell: s.Cell(), Supervisor: s}
}

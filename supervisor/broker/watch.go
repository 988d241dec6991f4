// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"emqttd/actors/cast"
	"emqttd/actors/wsloop"
	"emqttd/listeners/microscope"
	"emqttd/protocol/packet"
	"emqttd/supervisor/broker/config"
	"emqttd/supervisor/cell"
)

// watches shows the way of chosen connections' packets through the actors: it is
// the microscope's view of the broker's inside. A hook is installed only while
// there is something to watch; every other message of the process then costs
// one look at its cell.
type watches struct {
	mu     sync.Mutex // of those who change the list
	list   atomic.Pointer[[]*watch]
	remove func() // takes the hook away
}

// Inside shows the microscope the inside of the process's brokers.
func Inside() microscope.Inside { return new(watches) }

// newMicroscope is the microscope as the configuration wants it.
func (b *Broker) newMicroscope() *microscope.Microscope {
	c := b.cfg.Dashboard.Microscope
	return microscope.New(microscope.Options{Doors: b.Doors, Inside: &b.watches, Taps: b, Limits: microscope.Limits{OtherHosts: c.OtherHosts,
		MaxConnections: c.MaxConnections, MaxTotal: c.MaxTotal, MaxBytes: int(c.MaxBytes), MaxPacket: int(c.MaxPacket), MaxRate: int(c.MaxRate),
		Idle: c.Idle, Timeout: c.Timeout}})
}

// Doors are the WebSocket listeners that are bound, the dashboard's /mqtt among
// them, as the microscope knows them.
func (b *Broker) Doors() (out []microscope.Door) {
	for _, p := range b.ports {
		addr, err := netip.ParseAddrPort(fmt.Sprint(b.Addr(p.key)))
		if err != nil || p.named.Kind != config.WS && p.named.Kind != config.WSS {
			continue // not a TCP address, or not WebSocket
		}
		path := "/mqtt"
		if len(p.named.Paths) > 0 {
			path = p.named.Paths[0]
		}
		out = append(out, microscope.Door{Name: p.core.Base.Name, TLS: p.named.Kind == config.WSS, Path: path, Addr: unmapped(addr),
			Loopback: p.core.Base.Loopback})
	}
	return out
}

// watch is one connection, known by its peer.
type watch struct {
	peer    netip.AddrPort
	session atomic.Pointer[cell.Cell] // once there is one
	see     func(at time.Time, h *microscope.Hop)
}

// Watch implements microscope.Inside.
func (ws *watches) Watch(peer netip.AddrPort, see func(at time.Time, h *microscope.Hop)) (stop func()) {
	return ws.add(&watch{peer: peer, see: see})
}

func (ws *watches) add(w *watch) (stop func()) {
	ws.change(func(list []*watch) []*watch { return append(list, w) })
	return func() {
		ws.change(func(list []*watch) []*watch {
			return slices.DeleteFunc(list, func(other *watch) bool { return other == w })
		})
	}
}

func (ws *watches) change(f func([]*watch) []*watch) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	var list []*watch
	if old := ws.list.Load(); old != nil {
		list = slices.Clone(*old)
	}
	list = f(list)
	ws.list.Store(&list)
	switch {
	case len(list) > 0 && ws.remove == nil:
		ws.remove = cell.AddHook(ws)
	case len(list) == 0 && ws.remove != nil:
		ws.remove()
		ws.remove = nil
	}
}

// At implements cell.Hook. It runs on the group of c: what c and the actors of
// the same connection know may be read.
func (ws *watches) At(c *cell.Cell, phase cell.Phase, m cell.Message) {
	if phase != cell.Done {
		return
	}
	w := ws.find(c, m)
	if w == nil {
		return
	}
	kind := c.Kind()
	h := &microscope.Hop{Actor: c.Name(), Kind: kind.Name, Module: kind.Module, Message: reflect.TypeOf(m).Elem().Name(), Detail: detail(m)}
	switch m := m.(type) {
	case *cast.Data:
		stage, buffered, want := wsloop.Continuation(cast.ConnOf(c))
		h.Bytes, h.More = len(m.Bytes), &microscope.Continuation{Stage: stage, Buffered: buffered, Want: want}
	case *cast.Attach:
		w.session.Store(c)
	}
	w.see(time.Now(), h)
}

// find is the watch that a message of c belongs to.
func (ws *watches) find(c *cell.Cell, m cell.Message) *watch {
	list := *ws.list.Load()
	if len(list) == 0 {
		return nil
	}
	conn, session := whose(c, m)
	if conn == nil && session == nil {
		return nil
	}
	for _, w := range list {
		if conn != nil && unmapped(conn.Peer) == w.peer || session != nil && w.session.Load() == session {
			return w
		}
	}
	return nil
}

func unmapped(a netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()) }

// whose is the connection, or else the session, that a message of c is about.
func whose(c *cell.Cell, m cell.Message) (*cast.Conn, *cell.Cell) {
	if o, ok := c.Owner().(cast.Owned); ok {
		return o.Conn(), nil
	}
	switch m := m.(type) {
	case *cast.StartSession: // to the sm
		return m.Conn, nil
	case *cast.Attach: // to the session, which is new or has a new connection
		return m.Start.Conn, nil
	case *cast.Route: // to the router
		return nil, m.Reply
	case *cast.Match: // to the retainer
		return nil, m.Reply
	}
	return nil, c
}

// detail is what is in a message, in a few words. Never a payload.
func detail(m cell.Message) string {
	switch m := m.(type) {
	case *cast.Received:
		return types(m.Packets)
	case *cast.Send:
		return types(slices.Collect(m.All)) + " to the socket"
	case *cast.Connected:
		return "keep alive, limits and session of the connection"
	case *cast.StartSession:
		return "asks for the session of " + m.ClientID
	case *cast.Attach:
		return "the session gets its connection"
	case *cast.SessionStarted:
		if m.Code.Failed() {
			return "no session: " + m.Code.String()
		}
		if m.Present {
			return "the session was there"
		}
		return "a new session"
	case *cast.Subscribe:
		return fmt.Sprintf("%d filter(s)", len(m.Packet.Subscriptions))
	case *cast.Unsubscribe:
		return fmt.Sprintf("%d filter(s)", len(m.Packet.Filters))
	case *cast.Route:
		return routes(m.Changes)
	case *cast.Match:
		return "retained messages of " + some(m.Subs[0].Filter, len(m.Subs))
	case *cast.Matched:
		return fmt.Sprintf("%d retained message(s)", len(m.Messages))
	case *cast.Faulty:
		return m.Fault.Error()
	case *cast.Shutdown:
		return m.Detail
	case *cast.Closed:
		return "the socket is gone: " + m.Reason.String()
	case *cast.Detach:
		return "the session loses its connection: " + m.Reason.String()
	}
	return what(m)
}

// routes says what becomes of the routing table.
func routes(changes []cast.Change) string {
	if len(changes) == 0 {
		return "nothing"
	}
	way := "into the routing table: "
	if changes[0].New == nil {
		way = "out of the routing table: "
	}
	return way + some(changes[0].Either().Filter, len(changes))
}

// some is the first of n filters.
func some(first string, n int) string {
	if n > 1 {
		return fmt.Sprintf("%s and %d more", first, n-1)
	}
	return first
}

// types are the names of packets.
func types(ps []packet.Packet) string {
	const most = 8
	text := ""
	for i, p := range ps {
		if i == most {
			return text + fmt.Sprintf(" and %d more", len(ps)-most)
		}
		if i > 0 {
			text += ", "
		}
		text += p.Type().String()
	}
	return text
}

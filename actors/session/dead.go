// SPDX-License-Identifier: Apache-2.0

package session

import (
	"cmp"
	"errors"
	"maps"
	"slices"
	"sync"

	"emqttd/actors/metrics"
	"emqttd/actors/store"
	"emqttd/protocol/packet"
	"emqttd/supervisor/cell"
	"emqttd/supervisor/mailbox"
)

// Errors of a DeadRequest.
var (
	ErrNoSession = errors.New("session: there is none with this client id")
	ErrPoison    = errors.New("session: it crashed again: nothing was changed")
)

// DeadOp is what a DeadRequest asks for.
type DeadOp uint8

const (
	ListDead   DeadOp = iota
	ReplayDead        // deliver them as if they had just arrived
	DeleteDead
)

// DeadRequest asks a session for its dead letters. operator -> sm -> session.
type DeadRequest struct {
	mailbox.Link
	Op      DeadOp
	Serials []uint64       // nil: all
	Reply   chan DeadReply // of one place; it gets one reply
}

// DeadReply answers a DeadRequest.
type DeadReply struct {
	mailbox.Link
	Letters []*store.Dead // listed, replayed or deleted; immutable
	Err     error
}

// replies takes the reply of one request: its channel has the place.
type replies chan DeadReply

// Accept implements cell.Acceptor.
func (r replies) Accept(m cell.Message) {
	r <- DeadReply{Letters: m.(*DeadReply).Letters, Err: m.(*DeadReply).Err}
}

func (r *DeadRequest) reply(x *cell.Context, answer DeadReply) {
	x.Submit(replies(r.Reply), &DeadReply{Letters: answer.Letters, Err: answer.Err})
}

// Gone answers for a session that is not there, outside of any decision.
func (r *DeadRequest) Gone() { r.Reply <- DeadReply{Err: ErrNoSession} }

// NoSession answers the same as an effect of a decision.
func (r *DeadRequest) NoSession(x *cell.Context) { r.reply(x, DeadReply{Err: ErrNoSession}) }

func (st *stage) deadRequest(r *DeadRequest) {
	chosen, kept := st.s.dead, []*store.Dead(nil)
	if r.Serials != nil {
		chosen = nil
		for _, x := range st.s.dead {
			if slices.Contains(r.Serials, x.Serial) {
				chosen = append(chosen, x)
			} else {
				kept = append(kept, x)
			}
		}
	}
	if r.Op != ListDead && len(chosen) > 0 {
		for _, x := range chosen {
			st.exhume(x, r.Op == ReplayDead)
		}
		st.setDead(kept)
	}
	r.reply(st.x, DeadReply{Letters: chosen})
}

// exhume takes a dead letter away; replayed, it is a new message to this session
// alone, with a position of its own, behind what waits already.
func (st *stage) exhume(x *store.Dead, replay bool) {
	if !replay {
		st.drop(metrics.DropDeadDeleted, 1)
		st.lazily(store.Op{Kind: store.DelDead, Dead: x})
		return
	}
	m := *x.Message
	m.ID.Seq = 0
	if st.durable() {
		ops := []store.Op{{Kind: store.DelDead, Session: st.self.Number, Dead: x}}
		if x.QoS > packet.QoS0 {
			ops = append(ops, store.Op{Kind: store.Append, Message: &m, Sessions: []uint64{st.self.Number}})
		}
		st.x.Submit(st.pub.Log, &store.Commit{Ops: ops})
	}
	it, _ := itemOf(st.matching(&m), &m)
	it.qos, it.retain, it.share = x.QoS, x.Retain, nil
	st.offer(it)
}

// Grave is what is known of a session's dead letters without asking it.
type Grave struct {
	ClientID string
	Letters  int
	Bytes    int   // topics and payloads
	Newest   int64 // nanoseconds since the Unix epoch
}

func graveOf(clientID string, dead []*store.Dead) Grave {
	g := Grave{ClientID: clientID, Letters: len(dead)}
	for _, x := range dead {
		g.Bytes += x.Message.Size()
		g.Newest = max(g.Newest, x.At)
	}
	return g
}

// Graveyard knows which sessions have dead letters: an operator looks here first.
// It has as many entries as there are such sessions.
type Graveyard struct {
	mu     sync.Mutex
	graves map[string]Grave
}

// NewGraveyard is an empty one.
func NewGraveyard() *Graveyard { return &Graveyard{graves: map[string]Grave{}} }

type deadNote struct {
	mailbox.Link
	Grave
}

// Accept implements cell.Acceptor.
func (g *Graveyard) Accept(m cell.Message) { g.set(m.(*deadNote).Grave) }

func (g *Graveyard) set(x Grave) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if x.Letters == 0 {
		delete(g.graves, x.ClientID)
		return
	}
	g.graves[x.ClientID] = x
}

// Graves is every session with dead letters, the newest first.
func (g *Graveyard) Graves() []Grave {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.SortedFunc(maps.Values(g.graves), func(a, b Grave) int {
		return cmp.Or(cmp.Compare(b.Newest, a.Newest), cmp.Compare(a.ClientID, b.ClientID))
	})
}

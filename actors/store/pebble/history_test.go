// SPDX-License-Identifier: Apache-2.0

package pebble

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"emqttd/actors/store"
	"emqttd/actors/store/memory"
	"emqttd/protocol/message"
	"emqttd/protocol/packet"
	"emqttd/supervisor/cell"
)

// somebody waits for a commit that names it; nobody is told.
var somebody = new(cell.Cell)

// history draws commits with every operation, also such as no session would ask
// for in that state: each has to mean what it means to the memory engine.
type history struct {
	rng     *rand.Rand
	recent  []*message.Message
	last    uint64
	payload int // bytes at most
}

func newHistory(seed uint64) *history {
	return &history{rng: rand.New(rand.NewPCG(seed, 11)), payload: 40}
}

func (h *history) message() *message.Message {
	if n := len(h.recent); n > 0 && h.rng.IntN(2) == 0 {
		return h.recent[h.rng.IntN(n)]
	}
	h.last += 1 + h.rng.Uint64N(3)
	m := &message.Message{ID: message.ID{Seq: h.last}, From: "p", Topic: fmt.Sprint("t/", h.rng.IntN(4)), QoS: packet.QoS(h.rng.IntN(3)),
		Retain: h.rng.IntN(2) == 0, At: int64(h.last)}
	if n := h.rng.IntN(h.payload); n > 0 {
		m.Payload = bytes.Repeat([]byte{byte(h.last)}, n)
	}
	if h.recent = append(h.recent, m); len(h.recent) > 12 {
		h.recent = h.recent[1:]
	}
	return m
}

func (h *history) commit() *store.Commit {
	c := &store.Commit{Reply: somebody}
	if h.rng.IntN(3) == 0 {
		c.Reply = nil
	}
	for range h.rng.IntN(5) {
		c.Ops = append(c.Ops, h.op())
	}
	return c
}

func (h *history) op() store.Op {
	op := store.Op{Kind: store.OpKind(h.rng.IntN(int(store.DelFilter) + 1)), Session: 1 + h.rng.Uint64N(4), ID: packet.ID(1 + h.rng.IntN(4))}
	switch op.Kind {
	case store.PutSession:
		op.Record = &store.Record{ClientID: fmt.Sprint("c", op.Session), Epoch: h.last}
	case store.EndSession:
		if h.rng.IntN(3) > 0 {
			op.Kind = store.AddAwait // sessions live a while
		}
	case store.Append:
		op.Message = h.message()
		for range 1 + h.rng.IntN(4) {
			op.Sessions = append(op.Sessions, 1+h.rng.Uint64N(5)) // twice the same, and one that never is
		}
	case store.PutInflight:
		op.Message, op.QoS, op.Retain = h.message(), packet.QoS(h.rng.IntN(3)), h.rng.IntN(2) == 0
		op.Phase = store.Phase(h.rng.IntN(2))
	case store.Retain, store.DelInflight, store.Discard:
		op.Message = h.message()
	case store.PutFilter, store.DelFilter:
		op.Filter = &store.Filter{Text: fmt.Sprint("f/", h.rng.IntN(3)), QoS: packet.QoS(h.rng.IntN(3)), NoLocal: h.rng.IntN(2) == 0,
			AsPub: h.rng.IntN(2) == 0, RetainHandling: uint8(h.rng.IntN(3)), SubID: uint32(h.rng.IntN(300))}
	}
	return op
}

// dump is all that an engine holds, as text.
func dump(t require.TestingT, e store.Engine) string {
	var b strings.Builder
	fmt.Fprintln(&b, "last", e.Last())
	require.NoError(t, e.Sessions(func(s store.Stored) bool {
		fmt.Fprintf(&b, "session %d %+v %+v %v\n", s.Session, s.Record, s.Filters, s.Await)
		for _, f := range s.Inflight {
			fmt.Fprintf(&b, "  flight %d %d %d %v %s\n", f.ID, f.Phase, f.QoS, f.Retain, text(f.Message))
		}
		for _, m := range s.Queue {
			fmt.Fprintln(&b, "  queue", text(m))
		}
		return true
	}))
	require.NoError(t, e.Retained(func(m *message.Message) bool {
		fmt.Fprintln(&b, "retained", text(m))
		return true
	}))
	return b.String()
}

// text is a message with a checksum for its payload.
func text(m *message.Message) string {
	short := *m
	short.Payload = binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE(m.Payload))
	return fmt.Sprintf("%d %+v", len(m.Payload), short)
}

// write makes commits durable.
func write(t require.TestingT, e store.Engine, commits ...*store.Commit) {
	done := make(chan error, 1)
	e.Write(commits, func(err error) { done <- err })
	require.NoError(t, <-done)
}

// check holds the index to what the database says: an engine that forgot a
// holder would erase the message of another.
func check(t require.TestingT, e *Engine) {
	fresh := &Engine{opts: e.opts, db: e.db, dir: e.dir, index: index{sessions: map[uint64]*session{}, shared: map[uint64]uint32{}}}
	var got, want string
	require.NoError(t, e.do(func() {
		require.NoError(t, fresh.load())
		got, want = describe(&e.index), describe(&fresh.index)
	}))
	require.Equal(t, want, got)
}

func describe(x *index) string {
	var b strings.Builder
	fmt.Fprintln(&b, x.last, x.shared)
	for number := range uint64(1000) {
		if s := x.sessions[number]; s != nil {
			fmt.Fprintln(&b, number, s.queue.all(), s.flights)
		}
	}
	return b.String()
}

func TestRandomHistoriesMeanWhatTheyMeanToTheMemoryEngine(t *testing.T) {
	for seed := range uint64(40) {
		f := vfs.NewMem()
		e, reference, h := open(t, f, "data"), memory.New(), newHistory(seed)
		for range 6 {
			for range 30 {
				c := h.commit()
				write(t, reference, c)
				write(t, e, c)
			}
			want := dump(t, reference)
			require.Equal(t, want, dump(t, e), "seed %d", seed)
			check(t, e)
			require.NoError(t, e.Close())
			e = open(t, f, "data")
			require.Equal(t, want, dump(t, e), "seed %d, opened again", seed)
		}
		require.EqualValues(t, 7, e.Boot())
		require.NoError(t, e.Close())
	}
}

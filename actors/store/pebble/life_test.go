// SPDX-License-Identifier: Apache-2.0

package pebble

import (
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"
	"weak"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"emqttd/actors/store"
	"emqttd/protocol/message"
)

// clock is what tests set.
type clock struct{ atomic.Int64 }

func (c *clock) now() int64 { return c.Load() }

func openAt(t *testing.T, f vfs.FS, c *clock) *Engine {
	e, err := Open("data", Options{FS: f, Now: c.now, Fatal: func(err error) { panic(err) }})
	require.NoError(t, err)
	return e
}

// keys is how many keys of a space the database has.
func keys(t *testing.T, e *Engine, space byte) (n int) {
	require.NoError(t, e.do(func() {
		it, err := e.db.NewIter(&pebble.IterOptions{LowerBound: []byte{space}, UpperBound: []byte{space + 1}})
		require.NoError(t, err)
		for ok := it.First(); ok; ok = it.Next() {
			n++
		}
		require.NoError(t, it.Close())
	}))
	return n
}

// turn lets the sweeper do all that is due.
func turn(t *testing.T, e *Engine) {
	for idle := false; !idle; {
		require.NoError(t, e.do(func() {
			e.sweep.sliced = time.Time{}
			e.sweep.began = min(e.sweep.began, e.now()-int64(turnPause))
			if idle = e.idle() > 0; !idle {
				e.slice()
				e.commit()
			}
		}))
	}
}

// Else the writer would turn without end: what it holds back is due and never gone.
func TestOfACommitThatChangesNothingTheWriterHoldsNothingBack(t *testing.T) {
	e := openAt(t, vfs.NewMem(), &clock{})
	require.NoError(t, writeGroup(e, lazy(store.Op{Kind: store.DelAwait, Session: 9, ID: 1})))
	var held time.Time
	require.NoError(t, e.do(func() { held = e.heldSince }))
	require.True(t, held.IsZero())
	require.NoError(t, e.Close())
}

func TestCommitsNobodyWaitsForAreHeldBackAndRideWithTheNext(t *testing.T) {
	disk := vfs.NewCrashableMem()
	commits := make(chan Synced, 100)
	e, err := Open("data", Options{FS: disk, Observe: func(s Synced) { commits <- s }})
	require.NoError(t, err)
	after := func() map[uint64][]uint64 {
		again := open(t, disk.CrashClone(vfs.CrashCloneCfg{}), "data")
		defer func() { require.NoError(t, again.Close()) }()
		return waiting(t, again)
	}
	write(t, e, lazy(put(1)))
	write(t, e, lazy(give(1, 1)))
	require.Empty(t, commits, "both were answered, and nothing was synced for them")
	require.Empty(t, after())
	write(t, e, synced(give(2, 1)))
	require.Equal(t, 3, (<-commits).Commits)
	require.Equal(t, map[uint64][]uint64{1: {1, 2}}, after())

	began := time.Now()
	early := synced(give(3, 1))
	early.Early = true // somebody was answered, and nobody waits
	write(t, e, early)
	require.Equal(t, 1, (<-commits).Commits, "alone when nothing comes")
	require.GreaterOrEqual(t, time.Since(began), lazyDelay)
	require.Equal(t, map[uint64][]uint64{1: {1, 2, 3}}, after())

	write(t, e, lazy(give(4, 1)))
	require.NoError(t, e.Close())
	require.Equal(t, map[uint64][]uint64{1: {1, 2, 3, 4}}, after(), "Close writes what was held back")
}

func TestWritesAfterCloseAreRefused(t *testing.T) {
	e := open(t, vfs.NewMem(), "data")
	require.NoError(t, e.Close())
	require.NoError(t, e.Close())
	done := make(chan error, 1)
	e.Write([]*store.Commit{synced(put(1))}, func(err error) { done <- err })
	require.ErrorIs(t, <-done, ErrClosed)
	require.ErrorIs(t, e.Sessions(nil), ErrClosed)
	require.ErrorIs(t, e.Retained(nil), ErrClosed)
}

func TestEachStartHasItsNumber(t *testing.T) {
	disk := vfs.NewCrashableMem()
	e := open(t, disk, "data")
	require.EqualValues(t, 1, e.Boot())
	for boot := range uint64(3) {
		disk = disk.CrashClone(vfs.CrashCloneCfg{})
		e = open(t, disk, "data")
		require.Equal(t, boot+2, e.Boot(), "also when nothing followed it but a crash")
	}
	require.NoError(t, e.Close())
}

func TestAMessageForManySessionsIsStoredOnceUntilTheLastHasIt(t *testing.T) {
	const n = 1000
	e := open(t, vfs.NewMem(), "data")
	setup, to := synced(), []uint64(nil)
	for number := range uint64(n) {
		setup.Ops = append(setup.Ops, put(number+1))
		to = append(to, number+1)
	}
	write(t, e, setup)
	op := give(1, to...)
	op.Message.Payload = slices.Repeat([]byte("x"), 100_000)
	var size int
	e.opts.Observe = func(s Synced) { size = s.Bytes }
	write(t, e, synced(op))
	require.Less(t, size, 100_000+n*30)
	require.Equal(t, 1, keys(t, e, spaceMessage))
	first := (*message.Message)(nil)
	require.NoError(t, e.Sessions(func(s store.Stored) bool {
		if first == nil {
			first = s.Queue[0]
		}
		return first == s.Queue[0]
	}))
	require.Len(t, waiting(t, e), n, "and the sessions that are read share it")
	for _, number := range to[1:] {
		write(t, e, lazy(store.Op{Kind: store.PutInflight, Session: number, ID: 1, Message: op.Message}))
		write(t, e, lazy(store.Op{Kind: store.DelInflight, Session: number, ID: 1, Message: op.Message}))
	}
	require.Equal(t, 1, keys(t, e, spaceMessage))
	require.Equal(t, []uint64{1}, waiting(t, e)[1])
	write(t, e, synced(store.Op{Kind: store.Discard, Session: 1, Message: op.Message}))
	require.Zero(t, keys(t, e, spaceMessage))
	require.Equal(t, n, keys(t, e, spaceSession), "records alone are left")
	require.NoError(t, e.Close())
}

func TestWhatIsNotReadAheadIsLookedUpAndSharedToo(t *testing.T) {
	e := open(t, vfs.NewMem(), "data")
	write(t, e, synced(put(1), put(2), give(1, 1, 2), give(2, 1, 2)))
	v, err := e.view()
	require.NoError(t, err)
	shared, err := v.snap.NewIter(&pebble.IterOptions{LowerBound: []byte{spaceMessage}, UpperBound: []byte{spaceMessage + 1}})
	require.NoError(t, err)
	a := &assembler{shared: shared, ahead: map[uint64]*message.Message{}, seen: map[uint64]weak.Pointer[message.Message]{}}
	m, err := a.body(2)
	require.NoError(t, err)
	require.Equal(t, give(2).Message, m)
	again, err := a.body(2)
	require.NoError(t, err)
	require.Same(t, m, again)
	_, err = a.body(3)
	require.ErrorIs(t, err, ErrCorrupt, "a hold on nothing")
	require.NoError(t, shared.Close())
	require.NoError(t, v.snap.Close())
	require.NoError(t, e.Close())
}

func TestASessionThatStaysAwayPinsOnlyWhatIsItsOwn(t *testing.T) {
	e := open(t, vfs.NewMem(), "data")
	write(t, e, synced(put(1), put(2), give(1, 1, 2)))
	for seq := uint64(2); seq < 5000; seq++ {
		op := give(seq, 2)
		write(t, e, lazy(op), lazy(store.Op{Kind: store.Discard, Session: 2, Message: op.Message}))
	}
	require.Equal(t, 1, keys(t, e, spaceMessage))
	require.Equal(t, 2+2, keys(t, e, spaceSession), "two records, two holds on the first")
	require.Equal(t, map[uint64][]uint64{1: {1}, 2: {1}}, waiting(t, e))
	require.NoError(t, e.Close())
}

func TestTheEndOfASessionLeavesNothingBehind(t *testing.T) {
	const n = 3*sliceKeys + 10
	disk := vfs.NewCrashableMem()
	e := open(t, disk, "data")
	write(t, e, synced(put(1), put(2), put(3)))
	for seq := range uint64(n) {
		write(t, e, lazy(give(seq+1, 1, 2)))
	}
	write(t, e, synced(store.Op{Kind: store.EndSession, Session: 1}))
	require.Equal(t, n, keys(t, e, spaceMessage))
	var size int
	e.opts.Observe = func(s Synced) { size = max(size, s.Bytes) }
	write(t, e, synced(store.Op{Kind: store.EndSession, Session: 2}))
	require.Less(t, size, 50*sliceKeys, "in bounded pieces")
	left := disk.CrashClone(vfs.CrashCloneCfg{})
	write(t, e, synced(give(1, 3))) // one of those that are to go is handed on
	turn(t, e)
	require.Zero(t, keys(t, e, spaceMessage))
	require.Equal(t, map[uint64][]uint64{3: {1}}, waiting(t, e))
	require.Empty(t, e.rubbish)
	require.NoError(t, e.Close())

	e = open(t, left, "data")
	require.Positive(t, keys(t, e, spaceMessage), "a crash leaves the rest behind")
	turn(t, e)
	require.Zero(t, keys(t, e, spaceMessage))
	require.NoError(t, e.Close())
}

func TestWhatHasExpiredIsNotReadAndThenSwept(t *testing.T) {
	var c clock
	c.Store(100)
	disk := vfs.NewMem()
	e := openAt(t, disk, &c)
	expiring := func(seq uint64, expiry int64, sessions ...uint64) store.Op {
		op := give(seq, sessions...)
		op.Message.Expiry = expiry
		return op
	}
	retain := func(seq uint64, topic string, expiry int64) store.Op {
		return store.Op{Kind: store.Retain, Message: &message.Message{ID: message.ID{Seq: seq}, Topic: topic, Payload: []byte("x"), Expiry: expiry}}
	}
	flying := expiring(5, 200, 1)
	write(t, e, synced(put(1), put(2), expiring(1, 200, 1), expiring(2, 200, 1, 2), expiring(3, 300, 1), give(4, 1), flying,
		store.Op{Kind: store.PutInflight, Session: 1, ID: 7, Message: flying.Message, QoS: 1},
		retain(6, "a", 200), retain(7, "b", 300), retain(8, "c", 0)))
	topics := func() (out []string) {
		require.NoError(t, e.Retained(func(m *message.Message) bool { out = append(out, m.Topic); return true }))
		return out
	}
	require.Equal(t, map[uint64][]uint64{1: {1, 2, 3, 4}, 2: {2}}, waiting(t, e))
	turn(t, e)
	require.Equal(t, 1, keys(t, e, spaceMessage), "nothing is due")
	require.NoError(t, e.do(func() { e.sweep.began = 1 << 60 })) // no turn by itself
	c.Store(200)
	want := map[uint64][]uint64{1: {3, 4}, 2: {}}
	require.Equal(t, want, waiting(t, e))
	require.Equal(t, []string{"b", "c"}, topics())
	require.Equal(t, 3, keys(t, e, spaceRetained), "but it is there")
	c.Store(100)
	require.Equal(t, want, waiting(t, e), "a clock that steps back revives nothing")
	c.Store(200)
	turn(t, e)
	require.Zero(t, keys(t, e, spaceMessage))
	require.Equal(t, 2, keys(t, e, spaceRetained))
	require.Equal(t, 2+1+3, keys(t, e, spaceSession), "records, the flight, and holds for it and two in the queue")
	check(t, e)
	require.NoError(t, e.Close())
	c.Store(0)
	e = openAt(t, disk, &c)
	require.Equal(t, want, waiting(t, e))
	require.NoError(t, e.Sessions(func(s store.Stored) bool {
		require.Equal(t, s.Session == 1, len(s.Inflight) == 1, "what was sent is sent again, expired or not")
		return true
	}))
	c.Store(1 << 40)
	turn(t, e)
	require.Equal(t, map[uint64][]uint64{1: {4}, 2: {}}, waiting(t, e))
	require.Equal(t, []string{"c"}, topics())
	require.Equal(t, noDeadline, e.sweep.due, "there will be no further turn")
	require.NoError(t, e.Close())
}

func TestTheSweepersDeletionNeverHitsANewerRetainedMessage(t *testing.T) {
	var c clock
	e := openAt(t, vfs.NewMem(), &c)
	retain := func(seq uint64, expiry int64) store.Op {
		return store.Op{Kind: store.Retain, Message: &message.Message{ID: message.ID{Seq: seq}, Topic: "a", Payload: []byte("x"), Expiry: expiry}}
	}
	write(t, e, synced(retain(1, 10)))
	c.Store(20)
	write(t, e, lazy(retain(2, 0))) // held back when the sweeper comes
	turn(t, e)
	require.Equal(t, 1, keys(t, e, spaceRetained))
	require.NoError(t, e.Close())
}

func TestSessionsThatExpiredWhileNobodyWasThereAreErasedAtTheStart(t *testing.T) {
	const second = int64(time.Second)
	var c clock
	c.Store(100 * second)
	disk := vfs.NewMem()
	e := openAt(t, disk, &c)
	record := func(number uint64, gone int64, expiry uint32, will *message.Message) store.Op {
		return store.Op{Kind: store.PutSession, Session: number, Record: &store.Record{ClientID: fmt.Sprint(number), Disconnected: gone, Expiry: expiry, Will: will}}
	}
	for number, r := range map[uint64]store.Op{
		1: record(1, 100*second, 50, nil), 2: record(2, 100*second, 51, nil), 3: record(3, 0, 1, nil),
		4: record(4, 100*second, never, nil), 5: record(5, 100*second, 1, &message.Message{Topic: "w"}),
	} {
		write(t, e, synced(r, give(number, number), store.Op{Kind: store.AddAwait, Session: number, ID: 1},
			store.Op{Kind: store.PutFilter, Session: number, Filter: &store.Filter{Text: "f"}}))
	}
	write(t, e, synced(give(6, 1, 2)))
	require.NoError(t, e.Close())
	c.Store(150 * second)
	e = openAt(t, disk, &c)
	require.Equal(t, map[uint64][]uint64{2: {2, 6}, 3: {3}, 4: {4}, 5: {5}}, waiting(t, e),
		"one that has a will is given back: its will has to be published first")
	require.Equal(t, 4*4+1, keys(t, e, spaceSession))
	write(t, e, synced(store.Op{Kind: store.Discard, Session: 2, Message: give(6).Message}))
	turn(t, e)
	require.Zero(t, keys(t, e, spaceMessage))
	require.NoError(t, e.Close())
	c.Store(100 * second)
	e = openAt(t, disk, &c)
	require.NotContains(t, waiting(t, e), uint64(1), "a clock that steps back revives nothing")
	require.NoError(t, e.Close())
}

func TestAMessageThatIsHandedOnWhileItIsInFlightIsBoth(t *testing.T) {
	e := open(t, vfs.NewMem(), "data")
	for _, to := range [][]uint64{{1}, {1, 2}} {
		op := give(e.Last()+1, to...)
		write(t, e, synced(put(1), put(2), op, store.Op{Kind: store.PutInflight, Session: 1, ID: 7, Message: op.Message, QoS: 1}))
		write(t, e, synced(store.Op{Kind: store.Append, Sessions: []uint64{1}, Message: op.Message}))
		read := func() (s store.Stored) {
			require.NoError(t, e.Sessions(func(got store.Stored) bool { s = got; return false }))
			return s
		}
		require.Len(t, read().Queue, 1)
		require.Equal(t, op.Message, read().Inflight[0].Message)
		write(t, e, synced(store.Op{Kind: store.DelInflight, Session: 1, ID: 7, Message: op.Message}))
		require.Equal(t, op.Message, read().Queue[0])
		check(t, e)
		write(t, e, synced(store.Op{Kind: store.EndSession, Session: 1}, store.Op{Kind: store.EndSession, Session: 2}))
		require.Zero(t, keys(t, e, spaceMessage))
	}
	require.NoError(t, e.Close())
}

func TestABatchIsCutBetweenCommits(t *testing.T) {
	e := open(t, vfs.NewMem(), "data")
	var sizes []int
	e.opts.Observe = func(s Synced) { sizes = append(sizes, s.Bytes) }
	group := []*store.Commit{lazy(put(1))}
	for seq := range uint64(20) {
		op := give(seq+1, 1)
		op.Message.Payload = make([]byte, 1<<20)
		group = append(group, synced(op))
	}
	write(t, e, group...)
	require.Len(t, sizes, 3)
	for _, n := range sizes {
		require.Less(t, n, maxBatch+2<<20)
	}
	require.Len(t, waiting(t, e)[1], 20)
	require.NoError(t, e.Close())
}

func TestAQueueIsASetInOrder(t *testing.T) {
	var q queue
	want := map[uint64]bool{}
	h := newHistory(3)
	for range 5000 {
		seq := 1 + h.rng.Uint64N(300)
		if h.rng.IntN(2) == 0 {
			require.Equal(t, !want[seq], q.add(newHold(seq, true)))
			want[seq] = true
		} else {
			got := q.remove(seq)
			require.Equal(t, want[seq], got != 0)
			require.True(t, got == 0 || got.seq() == seq && got.shared())
			delete(want, seq)
		}
		require.Len(t, q.all(), len(want))
		require.True(t, slices.IsSorted(q.all()))
	}
	for seq := range uint64(100_000) {
		q.add(newHold(seq+1000, false))
	}
	for seq := range uint64(100_000) {
		require.NotZero(t, q.remove(seq+1000))
	}
	require.Less(t, cap(q.holds), 1000, "memory comes back")
}

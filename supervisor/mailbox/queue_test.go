// SPDX-License-Identifier: Apache-2.0

package mailbox_test

import (
	"runtime"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"emqttd/supervisor/mailbox"
)

// letter is the n-th message of a producer.
type letter struct {
	mailbox.Link
	from, n int
}

func take(q *mailbox.Queue) *letter {
	m := q.Peek()
	if m == nil {
		return nil
	}
	q.Pop()
	return m.(*letter)
}

func TestQueueIsTheListItStandsFor(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var q mailbox.Queue
		var want []*letter
		var free []*letter // taken out once: a message may stand in a queue again
		next := func(n int) *letter {
			if len(free) == 0 {
				return &letter{n: n}
			}
			l := free[len(free)-1]
			free = free[:len(free)-1]
			l.n = n
			return l
		}
		for n, step := range rapid.SliceOfN(rapid.IntRange(0, 4), 1, 200).Draw(t, "steps") {
			switch step {
			case 0, 1:
				l := next(n)
				q.Push(l)
				want = append(want, l)
			case 2:
				l := next(n)
				q.PushFront(l)
				want = append([]*letter{l}, want...)
			case 3:
				if len(want) > 0 {
					require.Same(t, want[0], q.Peek())
					require.Same(t, want[0], q.Peek(), "Peek takes nothing")
				} else {
					require.Nil(t, q.Peek())
				}
			case 4:
				l := take(&q)
				if len(want) == 0 {
					require.Nil(t, l)
					break
				}
				require.Same(t, want[0], l)
				want, free = want[1:], append(free, l)
			}
			require.Equal(t, len(want), q.Len())
			require.Equal(t, len(want) == 0, q.Empty())
		}
	})
}

func TestEachProducersMessagesArriveOnceAndInItsOrder(t *testing.T) {
	const producers, each = 8, 5000
	var q mailbox.Queue
	var wg sync.WaitGroup
	for from := range producers {
		wg.Go(func() {
			for n := range each {
				q.Push(&letter{from: from, n: n})
			}
		})
	}
	var next [producers]int
	back := &letter{from: -1}
	for got := 0; got < producers*each; {
		l := take(&q)
		switch {
		case l == nil:
			runtime.Gosched()
		case l == back: // the consumer's own, put before all others
			back = &letter{from: -1}
		default:
			if l.n != next[l.from] {
				t.Fatalf("producer %d: message %d came for %d", l.from, l.n, next[l.from])
			}
			next[l.from]++
			if got++; got%100 == 0 {
				q.PushFront(back)
				require.Same(t, back, q.Peek())
			}
		}
	}
	wg.Wait()
	if l := take(&q); l != nil {
		require.Same(t, back, l)
	}
	require.True(t, q.Empty())
	require.Zero(t, q.Len())
}

func TestAMessageHasOnePlace(t *testing.T) {
	var q, other mailbox.Queue
	l := new(letter)
	q.Push(l)
	require.Panics(t, func() { q.Push(l) })
	require.Panics(t, func() { other.PushFront(l) })
	require.Same(t, l, take(&q))
	require.NotPanics(t, func() { other.PushFront(l) })
	require.Equal(t, 1, other.Len())
}

func TestAPopKeepsNothingAlive(t *testing.T) {
	var q mailbox.Queue
	freed := make(chan bool, 1)
	func() {
		l := &letter{n: 1}
		runtime.AddCleanup(l, func(int) { freed <- true }, 0)
		q.Push(l)
		q.Push(&letter{n: 2})
		take(&q)
	}()
	for collected := false; !collected; {
		runtime.GC()
		select {
		case collected = <-freed:
		default:
			runtime.Gosched()
		}
	}
	require.Equal(t, 1, q.Len())
}

func BenchmarkPushPop(b *testing.B) {
	var q mailbox.Queue
	l := new(letter)
	b.ReportAllocs()
	for b.Loop() {
		q.Push(l)
		q.Peek()
		q.Pop()
	}
}

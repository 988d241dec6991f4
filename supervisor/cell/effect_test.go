// SPDX-License-Identifier: Apache-2.0

package cell_test

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"emqttd/supervisor/cell"
)

// taker is a sink that takes memory, one piece of it at a time.
type taker struct {
	sink
	taken []byte
	spare []byte
}

// Take implements cell.Taker.
func (s *taker) Take(b []byte) ([]byte, bool) {
	if s.taken != nil || cap(s.spare) < len(b) {
		return nil, false
	}
	s.taken = b
	return s.spare, true
}

// give is the pieces that one decision writes, by sink.
type give struct {
	text
	to     []cell.Sink
	pieces [][]byte
}

// TestASinkTakesTheMemoryOfALargeWrite: what it took stays as it was whatever is
// written next, and what it gave is written to; a write that is small, or shares the
// memory with another sink's, or finds the sink unwilling, is copied.
func TestASinkTakesTheMemoryOfALargeWrite(t *testing.T) {
	w := newWorld(t)
	c := w.start(cell.New(kindOf("k", func(ctx *cell.Context) {
		m := ctx.Message().(*give)
		for i, to := range m.to {
			ctx.Write(to, append(ctx.Bytes(), m.pieces[i]...))
		}
	}), "c", w.g, nil))
	piece := func(n int, c byte) []byte { return bytes.Repeat([]byte{c}, n) }
	write := func(to cell.Sink, b []byte) {
		c.Push(&give{to: []cell.Sink{to}, pieces: [][]byte{b}})
		w.drain()
	}
	a, b := &taker{spare: make([]byte, 0, 64<<10)}, &taker{spare: make([]byte, 0, 64<<10)}
	write(a, piece(100, 's'))
	require.Nil(t, a.taken, "small")
	c.Push(&give{to: []cell.Sink{a, b}, pieces: [][]byte{piece(30<<10, '1'), piece(20<<10, '2')}})
	w.drain()
	require.Nil(t, a.taken, "shared")
	require.Nil(t, b.taken, "shared")
	c.Push(&give{to: []cell.Sink{a, b}, pieces: [][]byte{piece(50<<10, '3'), nil}})
	w.drain()
	require.Equal(t, piece(50<<10, '3'), a.taken, "nothing is no share")
	write(a, piece(60<<10, '4'))
	write(b, piece(60<<10, '5'))
	require.Equal(t, piece(50<<10, '3'), a.taken)
	require.Equal(t, append(append(piece(100, 's'), piece(30<<10, '1')...), piece(60<<10, '4')...), a.b, "it had memory already")
	require.Equal(t, piece(20<<10, '2'), b.b)
	require.Equal(t, piece(60<<10, '5'), b.taken)
	require.Same(t, &a.spare[:1][0], &b.taken[0], "what a gave is what b took")
}

// TestNoMemoryIsTakenForAFewBytes: a sink that waits for its peer would hold what a
// large decision has needed.
func TestNoMemoryIsTakenForAFewBytes(t *testing.T) {
	w := newWorld(t)
	out := &taker{spare: make([]byte, 0, 1<<20)}
	c := w.start(cell.New(kindOf("k", func(ctx *cell.Context) {
		ctx.Write(out, append(ctx.Bytes(), ctx.Message().(*text).s...))
	}), "c", w.g, nil))
	large, few := string(bytes.Repeat([]byte{'x'}, 100<<10)), string(bytes.Repeat([]byte{'y'}, 5<<10))
	out.spare = nil
	c.Push(&text{s: large}) // the scratch memory grows
	w.drain()
	out.spare = make([]byte, 0, 1<<20)
	c.Push(&text{s: few})
	w.drain()
	require.Nil(t, out.taken)
	require.Equal(t, large+few, string(out.b))
}

// TestWhatIsLeftBehindIsTakenOnce: a crash behind the taking takes nothing back and
// gives nothing twice.
func TestWhatIsLeftBehindIsTakenOnce(t *testing.T) {
	w := newWorld(t)
	out := &taker{spare: make([]byte, 0, 64<<10)}
	marks := 0
	c := w.start(cell.New(kindOf("k", func(ctx *cell.Context) {
		ctx.Submit(acceptFunc(func(cell.Message) { marks++ }), nil)
		ctx.Write(out, append(ctx.Bytes(), ctx.Message().(*text).s...))
		ctx.Submit(acceptFunc(func(cell.Message) { marks++ }), nil)
	}), "c", w.g, nil))
	n := 0
	hooked(t, func(at *cell.Cell, p cell.Phase, _ cell.Message) {
		if at == c && p == cell.Between {
			if n++; n%2 == 0 {
				panic("between")
			}
		}
	})
	large := string(bytes.Repeat([]byte{'x'}, 50<<10))
	c.Push(&text{s: large})
	w.drain()
	require.Equal(t, 2, marks)
	require.Positive(t, c.Kind().Crashes.Load())
	require.Equal(t, large, string(out.taken)+string(out.b))
}

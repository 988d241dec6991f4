// SPDX-License-Identifier: Apache-2.0

package cell_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"emqttd/supervisor/cell"
	"emqttd/supervisor/group"
)

// wheel drives a group on a goroutine that can be replaced.
type wheel struct {
	g      *group.Group
	rested chan bool // a driver has run out of work: true; was fenced: false
}

func (d *wheel) drive(first func()) {
	go func() {
		rested := false
		defer func() { d.rested <- rested }()
		d.g.Drive(d)
		if first != nil {
			first()
		}
		for d.g.RunOne() {
			continue
		}
		rested = true
	}()
}

// Replace implements group.Driver.
func (d *wheel) Replace(first func()) { d.drive(first) }

// TestAStageThatDoesNotReturnIsFenced: what it had committed is performed once,
// what it does later is discarded, and the others on its group do not wait.
func TestAStageThatDoesNotReturnIsFenced(t *testing.T) {
	for _, phase := range []cell.Phase{cell.Decide, cell.Between} {
		t.Run(phase.String(), func(t *testing.T) {
			w := newWorld(t)
			out, o := &sink{}, &owner{}
			var state counts
			other := w.start(cell.New(kindOf("other", func(ctx *cell.Context) { ctx.Write(out, append(ctx.Bytes(), '!')) }), "other", w.g, nil))
			began, release := make(chan bool), make(chan bool)
			var weak *cell.Cell
			hold := func() {
				weak.Touch()
				close(began)
				<-release
			}
			weak = w.start(cell.New(kindOf("weak", func(ctx *cell.Context) {
				switch m := ctx.Message().(type) {
				case *several:
					for m.at < len(m.vs) {
						countsSlot.Edit(ctx, &state).seen++
						ctx.Write(out, append(ctx.Bytes(), byte('0'+m.vs[m.at])))
						ctx.Cast(other, &text{})
						if phase == cell.Decide && m.vs[m.at] == 2 {
							hold()
						}
						ctx.Commit(m)
					}
				case *cell.Poison:
					ctx.Write(out, append(ctx.Bytes(), "poison "...))
				case *text:
					ctx.Write(out, append(ctx.Bytes(), m.s...))
				}
			}), "weak", w.g, o))
			if phase == cell.Between {
				n := 0
				hooked(t, func(c *cell.Cell, p cell.Phase, _ cell.Message) {
					if c == weak && p == cell.Between {
						if n++; n == 2 {
							hold()
						}
					}
				})
			}
			d := &wheel{g: w.g, rested: make(chan bool)}
			var reports []*cell.Crash
			watch := group.NewWatch(time.Second, w.clock, func(r any) { reports = append(reports, r.(*cell.Crash)) }, w.g)
			weak.Push(&several{vs: []int{1, 2, 3}})
			weak.Push(&text{s: "after"})
			d.drive(nil)
			<-began
			for range 4 {
				watch.Look()
				w.clock.now.Add(int64(300 * time.Millisecond))
			}
			require.Empty(t, reports, "not yet")
			watch.Look()
			require.True(t, <-d.rested, "another goroutine has done all that was to do")
			require.Len(t, reports, 1)
			require.Contains(t, string(reports[0].Stack), "stuck_test.go")
			require.Equal(t, phase, reports[0].Phase)
			require.Equal(t, []*cell.Crash{reports[0]}, o.aborted)
			want := "1poison after!" // of the second part nothing was committed
			if phase == cell.Between {
				want = "123after!!!"
			}
			require.Equal(t, want, string(out.b))
			seen := state.seen
			close(release)
			require.False(t, <-d.rested, "the one that was stuck has come back and ended")
			require.Equal(t, want, string(out.b))
			require.Equal(t, seen, state.seen)
			require.EqualValues(t, 1, weak.Kind().By[cell.ByStall].Load())
			weak.Push(&text{s: "?"})
			d.drive(nil)
			require.True(t, <-d.rested)
			require.Equal(t, want+"?", string(out.b))
			for range 9 { // nobody is stuck any more
				watch.Look()
				w.clock.now.Add(int64(time.Second))
			}
			require.Len(t, reports, 1)
		})
	}
}

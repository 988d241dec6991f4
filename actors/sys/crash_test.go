// SPDX-License-Identifier: Apache-2.0

package sys_test

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"emqttd/actors/cast"
	"emqttd/actors/sys"
	"emqttd/supervisor/cell"
)

// hook is a cell.Hook of one function.
type hook func(c *cell.Cell, p cell.Phase, m cell.Message)

// At implements cell.Hook.
func (h hook) At(c *cell.Cell, p cell.Phase, m cell.Message) { h(c, p, m) }

func hooked(t *testing.T, h hook) {
	cell.SetHook(h)
	t.Cleanup(func() { cell.SetHook(nil) })
}

// TestACrashAtAnyStepOfAReportLeavesNothingOut crashes the actor once at each
// step that a report has, one after the other; what is heard is what would have
// been heard.
func TestACrashAtAnyStepOfAReportLeavesNothingOut(t *testing.T) {
	report := func(t *testing.T, crashAt int) (heard []string, steps int) {
		w := newWorld(t, everything, nil, "$SYS/#")
		number(w.env.Metrics)
		hooked(t, func(c *cell.Cell, p cell.Phase, m cell.Message) {
			if _, ok := m.(*cell.TimerFired); !ok || c != w.sys || p == cell.Done {
				return
			}
			if steps++; steps == crashAt {
				if crashAt%2 == 0 {
					panic("injected")
				}
				runtime.Goexit()
			}
		})
		w.after(0)
		w.after(time.Minute)
		cell.SetHook(nil)
		require.Equal(t, crashAt > 0, w.kind.Crashes.Load() == 1)
		return w.heard(), steps
	}
	want, steps := report(t, 0)
	require.Greater(t, steps, 100)
	for at := 1; at <= steps; at++ {
		heard, _ := report(t, at)
		require.Equal(t, want, heard, "step %d", at)
	}
}

func TestAReportThatIsPoisonIsNotTheLast(t *testing.T) {
	for _, tc := range []struct {
		name      string
		is        func(cell.Message) bool
		configure bool
	}{
		{"the report", func(m cell.Message) bool { _, ok := m.(*cell.TimerFired); return ok }, false},
		{"the start", func(m cell.Message) bool { _, ok := m.(*cell.Started); return ok }, false},
		{"new settings", func(m cell.Message) bool { return fmt.Sprintf("%T", m) == "*sys.configure" }, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			hooked(t, func(c *cell.Cell, p cell.Phase, m cell.Message) {
				if c.Kind().Name == "sys" && p == cell.Before && tc.is(m) {
					panic("poison")
				}
			})
			w := newWorld(t, everything, nil, node+"uptime")
			w.after(0)
			if tc.configure {
				sys.Configure(w.sys, sys.Settings{Interval: time.Second})
				w.drain()
			}
			cell.SetHook(nil)
			require.EqualValues(t, 1, w.kind.Poisoned.Load())
			w.heard()
			w.after(time.Minute)
			require.Len(t, w.heard(), 1)
			w.after(time.Minute)
			require.Len(t, w.heard(), 1)
		})
	}
}

func TestAClientThatIsPoisonCostsItsOwnAnnouncement(t *testing.T) {
	w := newWorld(t, everything, nil, node+"clients/+/connected")
	hooked(t, func(_ *cell.Cell, p cell.Phase, m cell.Message) {
		if c, ok := m.(*cast.ClientConnected); ok && c.ClientID == "bad" && p == cell.Before {
			panic("poison")
		}
	})
	w.sys.Push(&cast.ClientConnected{ClientID: "bad"})
	w.sys.Push(&cast.ClientConnected{ClientID: "good"})
	w.drain()
	require.Len(t, w.heard(), 1)
	require.EqualValues(t, 1, w.kind.Poisoned.Load())
}

func TestTheActorThatIsStoppedGoesOnWhereItWas(t *testing.T) {
	w := newWorld(t, everything, nil, node+"uptime")
	w.after(0)
	require.Len(t, w.heard(), 1)
	w.after(30 * time.Second)
	w.sys.Stop()
	w.drain()
	require.Positive(t, w.kind.Restarts.Load())
	w.after(0)
	require.Empty(t, w.heard(), "a restart makes no report of its own")
	w.after(30 * time.Second)
	require.Len(t, w.heard(), 1)
}

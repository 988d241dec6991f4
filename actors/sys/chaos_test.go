// SPDX-License-Identifier: Apache-2.0

package sys_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"emqttd/actors/alarm"
	"emqttd/actors/sys"
)

// broken is a world in which faults may be armed, with the monitor on.
func broken(t *testing.T) (w *world, now *sys.Chaos) {
	now = &sys.Chaos{Enabled: true}
	set := everything
	set.Monitor = sys.Monitor{Interval: time.Second, Calm: 2}
	w = newWorld(t, set, func(f *sys.Figures) { f.Chaos = func() sys.Chaos { return *now } }, node+"chaos")
	w.env.Alarms = alarm.New(alarm.Bounds{MaxActive: 10, History: 10}, func(alarm.Alarm) {})
	return w, now
}

func (w *world) alarms() (ids []string) {
	for _, a := range w.env.Alarms.Active() {
		ids = append(ids, a.ID+": "+a.Summary)
	}
	return ids
}

func TestABrokerThatMayBreakItselfSaysSo(t *testing.T) {
	w, now := broken(t)
	sys.Broken(w.sys) // as at the start
	w.drain()
	require.Equal(t, []string{"chaos: chaos.enabled is true: not for production"}, w.alarms())
	require.Equal(t, []string{node + `chaos {"enabled":true,"faults":0,"hits":0}`}, w.retained(node+"chaos"))

	now.Faults = 2
	sys.Broken(w.sys)
	w.drain()
	require.Equal(t, []string{"chaos: chaos.enabled is true: not for production", "chaos_faults: 2 armed, 0 hits"}, w.alarms())
	now.Hits = 13
	w.after(time.Minute)
	require.Contains(t, w.alarms(), "chaos_faults: 2 armed, 13 hits")
	require.Equal(t, []string{node + `chaos {"enabled":true,"faults":2,"hits":13}`}, w.retained(node+"chaos"))

	now.Faults = 0
	sys.Broken(w.sys)
	w.drain()
	require.Len(t, w.alarms(), 1, "cleared at once by whoever has cleared the faults")

	*now = sys.Chaos{}
	w.after(time.Minute)
	w.after(time.Minute)
	require.Empty(t, w.alarms())
	require.Empty(t, w.retained(node+"chaos"))
}

func TestFaultsThatExpireClearTheirAlarm(t *testing.T) {
	w, now := broken(t)
	now.Faults = 1
	sys.Broken(w.sys)
	w.drain()
	w.after(time.Second)
	require.Len(t, w.alarms(), 2)
	now.Faults = 0 // their time was over: nobody says so
	w.after(time.Second)
	w.after(time.Second)
	require.Equal(t, []string{"chaos: chaos.enabled is true: not for production"}, w.alarms())
}

func TestAListenerThatIsFullRaisesAnAlarm(t *testing.T) {
	share := 0.99
	set := sys.Settings{Monitor: sys.Monitor{Interval: time.Second, Calm: 1}}
	w := newWorld(t, set, func(f *sys.Figures) {
		f.Listeners = func() (float64, string) { return share, "tcp:default: 100 of 100 connections, 3 were turned away" }
	})
	w.env.Alarms = alarm.New(alarm.Bounds{MaxActive: 10, History: 10}, func(alarm.Alarm) {})
	w.after(0)
	for _, step := range []struct {
		share float64
		full  bool
	}{{0.99, false}, {1, true}, {0.81, true}, {0.79, false}, {0.99, false}} {
		share = step.share
		w.after(time.Second)
		require.Equal(t, step.full, len(w.alarms()) == 1, "%v", step)
	}
}

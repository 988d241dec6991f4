// SPDX-License-Identifier: Apache-2.0

package sys_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"emqttd/actors/alarm"
	"emqttd/actors/sys"
)

// watched is a world whose disk can be full, with the monitor on.
func watched(t *testing.T) (w *world, full *bool) {
	full = new(bool)
	set := sys.Settings{Monitor: sys.Monitor{Interval: time.Second, Calm: 2}}
	w = newWorld(t, set, nil, node+"alarms/#")
	w.pub.Room = func() bool { return !*full }
	w.env.Alarms = alarm.New(alarm.Bounds{MaxActive: 10, History: 10}, func(a alarm.Alarm) { sys.Announce(w.sys, a) })
	w.after(0)
	return w, full
}

func TestAnAlarmIsRaisedAnnouncedAndCleared(t *testing.T) {
	w, full := watched(t)
	w.after(time.Second)
	require.Empty(t, w.env.Alarms.Active())
	*full = true
	w.after(time.Second)
	require.Len(t, w.env.Alarms.Active(), 1)
	require.Equal(t, []string{node + `alarms/disk_low/alert {"id":"disk_low","severity":"critical",` +
		`"title":"the disk is nearly full: what would have to be stored is refused","summary":"less is free than store.min_free_bytes","ts":1795296385}`}, w.heard())
	w.after(time.Second)
	require.Empty(t, w.heard(), "once")
	*full = false
	w.after(time.Second)
	require.Empty(t, w.heard(), "not yet: it may waver")
	w.after(time.Second)
	require.Equal(t, []string{node + `alarms/disk_low/clear {"id":"disk_low","ts":1795296388}`}, w.heard())
	require.Empty(t, w.env.Alarms.Active())
	require.Len(t, w.env.Alarms.History(), 1)
}

func TestAMonitorThatIsTurnedOffLooksNoMore(t *testing.T) {
	w, full := watched(t)
	sys.Configure(w.sys, sys.Settings{})
	w.drain()
	*full = true
	w.after(time.Minute)
	require.Empty(t, w.env.Alarms.Active())
	sys.Configure(w.sys, sys.Settings{Monitor: sys.Monitor{Interval: time.Second, Calm: 1}})
	w.drain()
	w.after(time.Second)
	require.Len(t, w.env.Alarms.Active(), 1)
}

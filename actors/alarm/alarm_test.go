// SPDX-License-Identifier: Apache-2.0

package alarm

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var start = time.Date(2026, 11, 22, 4, 0, 0, 0, time.UTC)

func after(s int) time.Time { return start.Add(time.Duration(s) * time.Second) }

func table(b Bounds) (*Table, *[]string) {
	told := new([]string)
	return New(b, func(a Alarm) {
		if a.Cleared != nil {
			*told = append(*told, "-"+a.ID)
		} else {
			*told = append(*told, "+"+a.ID)
		}
	}), told
}

func ids(alarms []Alarm) (out []string) {
	for _, a := range alarms {
		out = append(out, a.ID)
	}
	return out
}

func TestAnAlarmIsRaisedOnceUntilItIsCleared(t *testing.T) {
	tab, told := table(Bounds{MaxActive: 10, History: 10})
	require.True(t, tab.Raise(Alarm{ID: "a", Summary: "1", RaisedAt: after(0)}))
	require.False(t, tab.Raise(Alarm{ID: "a", Summary: "2", RaisedAt: after(1)}))
	require.Equal(t, []Alarm{{ID: "a", Summary: "2", RaisedAt: after(0)}}, tab.Active(), "the latest figures, the first time")
	require.True(t, tab.Clear("a", after(2)))
	require.False(t, tab.Clear("a", after(3)))
	require.Empty(t, tab.Active())
	at := after(2)
	require.Equal(t, []Alarm{{ID: "a", Summary: "2", RaisedAt: after(0), Cleared: &at}}, tab.History())
	tab.Accept(&Change{Alarm: Alarm{ID: "a", RaisedAt: after(4)}})
	tab.Accept(&Change{Alarm: Alarm{ID: "a", RaisedAt: after(5)}, Clear: true})
	require.Equal(t, []string{"+a", "-a", "+a", "-a"}, *told)
	tab.Forget()
	require.Empty(t, tab.History())
}

func TestTheTableIsBounded(t *testing.T) {
	tab, told := table(Bounds{MaxActive: 2, History: 2})
	for i, id := range []string{"a", "b", "c"} {
		tab.Raise(Alarm{ID: id, RaisedAt: after(i)})
	}
	require.Equal(t, []string{"a", "b"}, ids(tab.Active()))
	require.EqualValues(t, 1, tab.Refused())
	tab.Clear("a", after(3))
	tab.Raise(Alarm{ID: "c", RaisedAt: after(4)})
	tab.Clear("b", after(5))
	tab.Clear("c", after(6))
	require.Equal(t, []string{"c", "b"}, ids(tab.History()), "the latest first")
	require.Equal(t, []string{"+a", "+b", "-a", "+c", "-b", "-c"}, *told)
	var none *Table
	require.False(t, none.Raise(Alarm{ID: "a"}))
	require.False(t, none.Clear("a", start))
	require.Empty(t, none.Active())
}

func TestAValueThatWaversRaisesOneAlarm(t *testing.T) {
	l := Level{High: 100, Low: 80, Calm: 2}
	var s State
	var got []bool
	for _, v := range []float64{99, 100, 99, 79, 80, 79, 79, 79, 99, 101} {
		s = l.Next(s, v)
		got = append(got, s.Raised)
	}
	require.Equal(t, []bool{false, true, true, true, true, true, false, false, false, true}, got)
}

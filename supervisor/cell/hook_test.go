// SPDX-License-Identifier: Apache-2.0

package cell_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"emqttd/supervisor/cell"
)

func TestHooksStandBesideEachOther(t *testing.T) {
	w := newWorld(t)
	c := w.start(cell.New(kindOf("echo", func(*cell.Context) {}), "a", w.g, nil))
	var seen []string
	note := func(who string) hookFunc {
		return func(_ *cell.Cell, p cell.Phase, m cell.Message) {
			if m, ok := m.(*text); ok && p == cell.Done {
				seen = append(seen, who+" "+m.s)
			}
		}
	}
	says := func(s string, want ...string) {
		t.Helper()
		seen = nil
		c.Push(&text{s: s})
		w.drain()
		require.Equal(t, want, seen)
	}
	says("nobody looks")
	first := cell.AddHook(note("first"))
	says("1", "first 1")
	hooked(t, note("set"))
	second := cell.AddHook(note("second"))
	says("2", "first 2", "second 2", "set 2")
	first()
	first()
	says("3", "second 3", "set 3")
	cell.SetHook(nil)
	says("4", "second 4")
	second()
	says("5")
}

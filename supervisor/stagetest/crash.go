// SPDX-License-Identifier: Apache-2.0

package stagetest

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"emqttd/supervisor/cell"
)

// death is how an actor is ended at a step.
type death uint8

const (
	panics death = iota
	goexits
	stops
	deaths
)

func (d death) String() string { return [...]string{"panic", "goexit", "stop"}[d] }

// stepper counts the steps of one actor kind at which it may die, and ends it at
// one of them (cell.Hook).
type stepper struct {
	kind  string
	at    int // the step to die at; -1: only count
	do    death
	steps int
	where string
}

// At implements cell.Hook.
func (s *stepper) At(c *cell.Cell, phase cell.Phase, m cell.Message) {
	if c.Kind().Name != s.kind || phase == cell.Done {
		return
	}
	s.steps++
	if s.steps-1 != s.at {
		return
	}
	s.where = fmt.Sprintf("%T/%s", m, phase)
	switch s.do {
	case panics:
		panic("injected")
	case goexits:
		runtime.Goexit()
	default:
		c.Stop()
	}
}

// AtEveryStep plays a scenario once undisturbed, and then once for every place
// at which the actors of a kind can die in it (before, in and after each
// decision, between each two effects) and every way of dying. What play returns,
// the trace of what others saw, must be the same each time. Tests that use it
// must not run in parallel: faults are injected into the whole process. With -short
// it is every tenth place.
func AtEveryStep(t *testing.T, kind string, play func(t *testing.T, w *World) []string) {
	t.Helper()
	t.Cleanup(func() { cell.SetHook(nil) })
	run := func(s *stepper) []string {
		cell.SetHook(s)
		defer cell.SetHook(nil)
		return play(t, New(t))
	}
	count := &stepper{kind: kind, at: -1}
	want := run(count)
	require.NotEmpty(t, want, "the scenario shows nothing")
	require.Positive(t, count.steps, "no actor of kind %s did anything", kind)
	stride := 1
	if testing.Short() {
		stride = 10
	}
	for at := 0; at < count.steps; at += stride {
		for do := range deaths {
			s := &stepper{kind: kind, at: at, do: do}
			got := run(s)
			require.NotEmpty(t, s.where, "step %d was not reached", at)
			require.Equal(t, want, got, "%s at step %d, %s", do, at, s.where)
		}
	}
}

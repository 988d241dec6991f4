// SPDX-License-Identifier: Apache-2.0

package group_test

import (
	"context"
	"errors"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"emqttd/supervisor/group"
)

func TestAVisitRunsBetweenTasksAndItsCallerWaits(t *testing.T) {
	s := group.NewService("g", group.Wall{})
	defer s.Close()
	inTask, total := false, 0
	for range 100 {
		ready(s.Group(), newJob(func(*group.Group) {
			inTask = true
			total++ // without a lock: the race detector sees what does not exclude each other
			inTask = false
		}))
		require.NoError(t, s.Group().Do(t.Context(), func() {
			require.False(t, inTask)
			total++
		}))
	}
	require.Equal(t, 200, total)
}

func TestAVisitThatFailsCostsItsCallerAndNotTheGroup(t *testing.T) {
	s := group.NewService("g", group.Wall{})
	defer s.Close()
	for name, f := range map[string]func(){
		"panic":  func() { panic("no such connection") },
		"goexit": func() { runtime.Goexit() },
	} {
		t.Run(name, func(t *testing.T) {
			err := s.Group().Do(t.Context(), f)
			require.ErrorIs(t, err, group.ErrAbandoned)
			if name == "panic" {
				require.ErrorContains(t, err, "no such connection")
			}
			require.NoError(t, s.Group().Do(t.Context(), func() {}), "the group goes on")
		})
	}
}

func TestAVisitToAGroupThatStandsStillIsGivenUp(t *testing.T) {
	g := group.New("g", &manual{}, nil) // nobody drives it
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("enough"))
	ran := false
	require.ErrorIs(t, g.Do(ctx, func() { ran = true }), context.Canceled)
	for g.RunOne() {
	}
	require.False(t, ran, "what was given up is not run later")
}

func TestAVisitThatHasBegunIsWaitedFor(t *testing.T) {
	s := group.NewService("g", group.Wall{})
	defer s.Close()
	ctx, cancel := context.WithCancel(t.Context())
	seen := 0
	require.NoError(t, s.Group().Do(ctx, func() {
		cancel()
		seen = 1
	}))
	require.Equal(t, 1, seen)
}

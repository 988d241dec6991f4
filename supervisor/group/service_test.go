// SPDX-License-Identifier: Apache-2.0

package group_test

import (
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"emqttd/supervisor/group"
)

func TestAServiceRunsWhatIsReadyAndEnds(t *testing.T) {
	defer goleak.VerifyNone(t)
	s := group.NewService("store", group.Wall{})
	done := make(chan bool)
	ready(s.Group(), newJob(func(g *group.Group) {
		require.Same(t, s.Group(), g)
		done <- true
	}))
	<-done
	s.Close()
	s.Close()
	ran := false
	ready(s.Group(), newJob(func(*group.Group) { ran = true }))
	require.False(t, ran, "nobody drives a closed service")
}

func TestAGoexitInATaskCostsTheGoroutineAndNotTheService(t *testing.T) {
	defer goleak.VerifyNone(t)
	s := group.NewService("s", group.Wall{})
	defer s.Close()
	var ran atomic.Int64
	done := make(chan bool)
	for i := range 40 {
		ready(s.Group(), newJob(func(*group.Group) {
			ran.Add(1)
			if i%2 == 0 {
				runtime.Goexit()
			}
		}))
	}
	ready(s.Group(), newJob(func(*group.Group) { done <- true }))
	<-done
	require.EqualValues(t, 40, ran.Load())
}

func TestAServiceFiresTimersWithoutOtherWork(t *testing.T) {
	defer goleak.VerifyNone(t)
	s := group.NewService("s", group.Wall{})
	defer s.Close()
	fired := make(chan int64, 1)
	var tm group.Timer
	tm.Init(group.FireFunc(func(*group.Timer) { fired <- time.Now().UnixNano() }))
	var due int64
	armed := make(chan bool)
	ready(s.Group(), newJob(func(g *group.Group) {
		due = g.Now() + int64(20*time.Millisecond)
		g.Arm(&tm, due)
		close(armed)
	}))
	<-armed
	require.GreaterOrEqual(t, <-fired, due)
}

func TestAPoolRunsJobsAndRefusesWhenFull(t *testing.T) {
	defer goleak.VerifyNone(t)
	p := group.NewPool(2, 3)
	hold, begun := make(chan bool), make(chan bool)
	for range 2 {
		require.True(t, p.Try(func() { begun <- true; <-hold }))
	}
	<-begun
	<-begun
	var ran atomic.Int64
	for range 3 {
		require.True(t, p.Try(func() { ran.Add(1) }))
	}
	require.False(t, p.Try(func() { ran.Add(1) }), "two at work, three wait: full")
	close(hold)
	p.Close()
	require.EqualValues(t, 3, ran.Load())
}

func TestAJobThatPanicsOrExitsCostsItselfAlone(t *testing.T) {
	defer goleak.VerifyNone(t)
	p := group.NewPool(1, 16)
	var ran atomic.Int64
	for i := range 9 {
		require.True(t, p.Try(func() {
			ran.Add(1)
			switch i % 3 {
			case 0:
				panic("job")
			case 1:
				runtime.Goexit()
			}
		}))
	}
	p.Close()
	require.EqualValues(t, 9, ran.Load())
}

// SPDX-License-Identifier: Apache-2.0

package group_test

import (
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"emqttd/supervisor/group"
)

// manual is a clock that is set by hand.
type manual struct{ now atomic.Int64 }

func (m *manual) Now() int64 { return m.now.Load() }

// job is a task that does what it is told.
type job struct {
	group.Task
	do func(g *group.Group)
}

func newJob(do func(g *group.Group)) *job {
	j := &job{do: do}
	j.Bind(j)
	return j
}

// Run implements group.Runner.
func (j *job) Run(g *group.Group) { j.do(g) }

func ready(g *group.Group, j *job) {
	if j.Claim() {
		g.Schedule(&j.Task)
	}
}

func TestTasksRunInTheOrderInWhichTheyBecameReady(t *testing.T) {
	g := group.New("g", &manual{}, nil)
	var ran []int
	jobs := make([]*job, 6)
	for i := range jobs {
		jobs[i] = newJob(func(g *group.Group) {
			ran = append(ran, i)
			jobs[i].Release()
			if i < 2 { // becomes ready while the group runs: behind all that were before
				ready(g, jobs[i+4])
				ready(g, jobs[i+4])
			}
		})
	}
	for i := range 4 {
		ready(g, jobs[i])
	}
	require.Equal(t, "g", g.Name())
	require.True(t, g.Drain(3), "a bounded turn says that there is more")
	require.Equal(t, []int{0, 1, 2}, ran)
	require.False(t, g.Drain(100))
	require.Equal(t, []int{0, 1, 2, 3, 4, 5}, ran)
	require.False(t, g.RunOne())
	g.Tick()
	require.EqualValues(t, 6, g.Turns())
}

func TestATaskStandsInTheRunListOnce(t *testing.T) {
	g := group.New("g", &manual{}, nil)
	runs := 0
	var j *job
	j = newJob(func(*group.Group) {
		runs++
		require.False(t, j.Claim(), "scheduled includes running")
		j.Release()
	})
	ready(g, j)
	ready(g, j)
	require.False(t, g.Drain(10))
	require.Equal(t, 1, runs)
	ready(g, j)
	require.False(t, g.Drain(10))
	require.Equal(t, 2, runs)
}

func TestSleepIsRefusedWhenWorkHasArrived(t *testing.T) {
	woken := 0
	g := group.New("g", &manual{}, func() { woken++ })
	var j *job
	j = newJob(func(*group.Group) { j.Release() })
	ready(g, j)
	require.Zero(t, woken, "nobody wakes a driver that is awake")
	require.False(t, g.Sleep())
	g.Drain(1)
	require.True(t, g.Sleep())
	ready(g, j)
	require.Equal(t, 1, woken)
	k := newJob(func(*group.Group) {})
	ready(g, k)
	require.Equal(t, 1, woken, "once is enough")
	g.Awake()
	require.False(t, g.Drain(10))
}

// TestNoWakeUpIsLost hands work to a driver that sleeps whenever it can, one
// piece at a time: a lost wake-up leaves both waiting for ever.
func TestNoWakeUpIsLost(t *testing.T) {
	const producers, each = 4, 3000
	kick := make(chan struct{}, 1)
	g := group.New("g", &manual{}, func() {
		select {
		case kick <- struct{}{}:
		default:
		}
	})
	stop := make(chan struct{})
	var driver sync.WaitGroup
	driver.Go(func() {
		for {
			if g.Drain(16) || !g.Sleep() {
				continue
			}
			select {
			case <-kick:
			case <-stop:
				return
			}
			g.Awake()
		}
	})
	var wg sync.WaitGroup
	for range producers {
		wg.Go(func() {
			done := make(chan bool, 1)
			var j *job
			j = newJob(func(*group.Group) {
				j.Release()
				done <- true
			})
			for range each {
				ready(g, j)
				<-done
			}
		})
	}
	wg.Wait()
	close(stop)
	driver.Wait()
	g.Tick()
	require.EqualValues(t, producers*each, g.Turns())
}

// TestAPushBesideARunIsNotMissed is how a cell uses its task: release, look once
// more, claim.
func TestAPushBesideARunIsNotMissed(t *testing.T) {
	const producers, each = 4, 20000
	s := group.NewService("s", group.Wall{})
	var box, seen atomic.Int64
	all := make(chan bool, 1)
	var j *job
	j = newJob(func(g *group.Group) {
		n := box.Swap(0)
		if seen.Add(n) == producers*each {
			all <- true
		}
		j.Release()
		if box.Load() > 0 && j.Claim() {
			g.Schedule(&j.Task)
		}
	})
	var wg sync.WaitGroup
	for range producers {
		wg.Go(func() {
			for range each {
				box.Add(1)
				ready(s.Group(), j)
			}
		})
	}
	wg.Wait()
	<-all
	s.Close()
	require.EqualValues(t, producers*each, seen.Load())
}

func TestNowStandsStillWithinATurn(t *testing.T) {
	c := &manual{}
	c.now.Store(5)
	g := group.New("g", c, nil)
	var seen []int64
	for range 3 {
		ready(g, newJob(func(g *group.Group) {
			c.now.Add(10)
			seen = append(seen, g.Now())
		}))
	}
	g.Drain(10)
	require.Equal(t, slices.Repeat([]int64{5}, 3), seen)
	g.Tick()
	require.EqualValues(t, 35, g.Now())
	require.EqualValues(t, 35, g.Clock().Now())
}

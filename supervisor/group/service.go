// SPDX-License-Identifier: Apache-2.0

package group

import (
	"math"
	"sync"
	"time"
)

// Service drives a group on a goroutine of its own that exists only while there
// is work or a timer to wait for. It is for actors that belong to no event
// loop: the store, and everything on systems without loops.
type Service struct {
	g    *Group
	kick chan struct{} // capacity 1
	stop chan struct{}
	done sync.WaitGroup
	once sync.Once
}

// NewService starts a service group.
func NewService(name string, clock Clock) *Service {
	s := &Service{kick: make(chan struct{}, 1), stop: make(chan struct{})}
	s.g = New(name, clock, s.wake)
	s.done.Add(1)
	go s.drive()
	return s
}

// Group is the group that s drives.
func (s *Service) Group() *Group { return s.g }

func (s *Service) wake() {
	select {
	case s.kick <- struct{}{}:
	default:
	}
}

// drive is the goroutine. A Goexit in an actor's code ends it: the deferred
// call starts the next one, which finds the group as the dying one left it.
func (s *Service) drive() {
	ended := false
	defer func() {
		if !ended {
			go s.drive()
			return
		}
		s.done.Done()
	}()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		s.g.Tick()
		if s.g.Drain(1024) {
			continue
		}
		if !s.g.Sleep() {
			continue
		}
		timer.Reset(s.idle())
		select {
		case <-s.kick:
		case <-timer.C:
		case <-s.stop:
			ended = true
			return
		}
		s.g.Awake()
	}
}

func (s *Service) idle() time.Duration {
	next := s.g.Next()
	if next == math.MaxInt64 {
		return time.Hour
	}
	return max(0, time.Duration(next-s.g.clock.Now()))
}

// Close stops the driver; work that is ready stays undone.
func (s *Service) Close() {
	s.once.Do(func() { close(s.stop) })
	s.done.Wait()
}

// SPDX-License-Identifier: Apache-2.0

package group

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
)

// ErrAbandoned is wrapped by what Do returns for a function that panicked or
// called Goexit: nothing is known of what it has looked at.
var ErrAbandoned = errors.New("group: the function did not come to its end")

// Do runs f between two tasks of g, where it may read what g's cells know, and
// waits for its end. It is for administration: f must be short (a loop stands
// still meanwhile, so what is long is done in pieces), must not wait, and must
// change nothing that belongs to a cell.
//
// Do may be called from any goroutine but g's own. When ctx ends before f has
// begun, f is not run any more and the context's error is returned; so a group
// that is stuck or closed costs its callers their patience and nothing else.
func (g *Group) Do(ctx context.Context, f func()) error {
	v := &visit{f: f, done: make(chan error, 1)}
	v.Bind(v)
	v.Claim()
	g.Schedule(&v.Task)
	select {
	case err := <-v.done:
		return err
	case <-ctx.Done():
	}
	if v.state.CompareAndSwap(waiting, givenUp) {
		return ctx.Err()
	}
	return <-v.done
}

// visit is one call of Do.
type visit struct {
	Task
	f     func()
	state atomic.Uint32 // waiting, then begun or givenUp: whoever comes first
	done  chan error    // capacity 1
}

const (
	waiting uint32 = iota
	begun
	givenUp
)

// Run implements Runner. A panic in f is the caller's to hear about: what f only
// reads, it cannot leave half done.
func (v *visit) Run(*Group) {
	if !v.state.CompareAndSwap(waiting, begun) {
		return
	}
	ended := false
	defer func() {
		switch r := recover(); {
		case ended:
			v.done <- nil
		case r != nil:
			v.done <- fmt.Errorf("%w: %v", ErrAbandoned, r)
		default:
			v.done <- ErrAbandoned
		}
	}()
	v.f()
	ended = true
}

// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"fmt"
	"os"
	"runtime"
	"time"

	"emqttd/supervisor/cell"
)

// Injected is the value of an injected panic: logs and supervisors can tell it
// from a real one.
type Injected struct {
	ID    int
	Fault Fault
}

// String says which fault it was.
func (i Injected) String() string { return fmt.Sprintf("injected fault %d: %s", i.ID, i.Fault) }

func (in *Injector) act(c *cell.Cell, a *armed) {
	switch do := a.Fault.Do; do.Action {
	case Panic:
		panic(Injected{a.ID, a.Fault})
	case Goexit:
		runtime.Goexit()
	case Stop:
		c.Stop()
	case Delay, Stall:
		c.Touch() // it may be found stuck meanwhile
		in.opts.Wait(do.For, a.cancel)
	case Kill:
		in.opts.Kill()
	}
}

// wait is Options.Wait on the machine's clock.
func wait(d time.Duration, cancel <-chan struct{}) {
	if d == 0 {
		<-cancel
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-cancel:
	}
}

// KillSelf is the Options.Kill of a broker that allows it: as kill -9, nothing is
// flushed and nothing deferred runs.
func KillSelf() {
	if self, err := os.FindProcess(os.Getpid()); err == nil {
		_ = self.Kill()
	}
}

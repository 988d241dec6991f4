// SPDX-License-Identifier: Apache-2.0

package cell

import "reflect"

// Life is how the actor of a cell is.
type Life uint32

const (
	Waiting     Life = iota // has no incarnation: its supervisor starts the next, or is about to
	Up                      // takes messages
	Restarting              // crashed, and its supervisor has been told
	Failing                 // the next incarnation could not be made: its supervisor tries again later
	Ended                   // has come to its orderly end
	Hibernating             // has no incarnation since it has nothing to do; the next message brings one
)

func (l Life) String() string {
	return [...]string{"waiting", "up", "restarting", "failing", "ended", "hibernating"}[l]
}

// Reason is why an incarnation followed another.
type Reason uint8

const (
	BySupervisor Reason = iota // with its siblings: one_for_all, rest_for_one
	ByPanic
	ByGoexit // runtime.Goexit
	ByStop   // a stop that nobody ordered, or the restart of its supervisor
	ByMaking // Kind.New crashed
	ByStall  // a stage did not return
	reasons
)

var reasonNames = [reasons]string{"supervisor", "panic", "goexit", "stop", "restart", "stall"}

// String is the metric label.
func (r Reason) String() string { return reasonNames[r] }

// maxFailed bounds the count of incarnations in a row that could not be made.
const maxFailed = 200

// restarted counts an incarnation that follows another.
func (c *Cell) restarted() {
	c.aside().restarts.Add(1)
	c.kind.Restarts.Add(1)
	c.kind.By[c.why].Add(1)
	c.why = BySupervisor // unless something happens to it first
}

// RestartsBy calls yield for every reason and the restarts it caused.
func (k *Kind) RestartsBy(yield func(Reason, int64) bool) {
	for r := range reasons {
		if !yield(r, k.By[r].Load()) {
			return
		}
	}
}

// Info is what can be seen of a cell from outside its group: no lock is taken
// and nobody waits.
type Info struct {
	Name     string
	Kind     string
	Module   string // emqttd's
	Life     Life
	Pending  int    // messages in the mailbox
	Restarts int    // incarnations after the first
	Reason   string // of the last crash, "" when there was none
	Message  string // the type of the message that crashed it, as "cast.Received"
	Stack    string // of the last crash
	At       int64  // of the last crash, nanoseconds since the Unix epoch
	Poison   bool   // the last crash was the second at the same message
}

// Life is how the cell's actor is.
func (c *Cell) Life() Life { return Life(c.life.Load()) }

// Info is what can be seen of c; it may be called from anywhere.
func (c *Cell) Info() Info {
	i := Info{Name: c.Name(), Kind: c.kind.Name, Module: c.kind.Module, Life: c.Life(), Pending: c.Pending()}
	if a := c.rare.Load(); a != nil {
		i.Restarts = int(a.restarts.Load())
	}
	if crash := c.LastCrash(); crash != nil {
		i.Reason, i.Stack, i.At, i.Poison = crash.Text, string(crash.Stack), crash.At, crash.Poison
		i.Message = typeName(crash.Message)
	}
	return i
}

// typeName is the type of m as "cast.Received".
func typeName(m Message) string {
	if m == nil {
		return ""
	}
	return reflect.TypeOf(m).Elem().String()
}

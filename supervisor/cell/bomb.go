// SPDX-License-Identifier: Apache-2.0

package cell

// Bomb crashes the actor that takes it up, once: the second attempt finds nothing
// to do. It is an operator's way to see a supervisor at work.
type Bomb struct{ link }

// explode is what a stage does about a Bomb.
func (x *Context) explode() {
	if !x.Again() {
		panic("crashed by an operator")
	}
}

// Quit stops the actor when its turn comes: what was in the mailbox before it is
// handled, what comes after it waits. It is what a supervisor that shuts down
// sends, in the place of OTP's exit signal.
type Quit struct {
	link
	taken bool
}

// Taken reports whether the actor has come to it. It may be called when the actor
// has stopped.
func (q *Quit) Taken() bool { return q.taken }

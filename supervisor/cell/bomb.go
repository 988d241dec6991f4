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

// SPDX-License-Identifier: Apache-2.0

// Package cell keeps what an actor knows outside the actor, and runs its
// messages as decide, commit, perform.
//
// emqttd's processes kept their state in the process: a crash lost it, and with
// it the connection, the session, the will. Here a crash loses nothing:
//
//   - Decide is the stage's Receive. It reads the cell and the message and writes
//     what shall change (Edit, Map, Queue) and what shall happen (Cast, Append,
//     Arm, ...) into scratch memory of its group. It may panic anywhere and has
//     changed nothing.
//   - Commit, written once here, assigns the changes, queues the effects and takes
//     the message off the mailbox.
//   - Perform does the effects in order; doing one and striking it off is one act.
//
// A panic or runtime.Goexit in decide leaves the message at the head of the
// mailbox: the next incarnation tries it once more, and what fails twice is
// poison (see Poison). After the commit nothing is tried again: the next
// incarnation goes on with the next effect. A Cell is also the protoactor
// mailbox of its actor, so restarts and stops of the actor leave the queue where
// it is, and whoever holds a *Cell reaches whichever incarnation serves it. An
// actor whose cell has come to its orderly end serves another one (see spare.go).
//
// The package is the trusted core: it calls no code of a stage but Receive, and
// a panic of its own ends the process.
package cell

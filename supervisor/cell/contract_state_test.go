// SPDX-License-Identifier: Apache-2.0

package cell_test

// The contract as a model, small enough to be explored to the end: a publisher,
// the protocol actor of its connection, a store that commits in groups, the
// session of a subscriber, and the subscriber; both sessions are durable. Between
// any two steps an actor may crash, the publisher's connection may break, or the
// process may be killed, with any beginning of what the store holds on disk.
//
// What is modelled is the rules, not the code: which effect follows which commit,
// and what is found after a restart. The tests of the packages hold the code to
// the rules.

// rules are the rules in force; the zero value is the reference, the others are
// simplifications that look as if they would do.
type rules struct {
	qos1             bool // QoS 1 from end to end, else QoS 2
	redo             bool // an effect is done, then struck: a crash between does it again
	skip             bool // an effect is struck, then done: a crash between forgets it
	dirtyDecide      bool // decide writes to the state; a crash in it leaves that
	earlyDispatch    bool // a message is dispatched before the store has accepted it
	earlyAck         bool // PUBREC or PUBACK does not wait for the commit
	repeatFromMemory bool // a repeated PUBLISH or PUBREL is answered at once
	lazyPubrel       bool // PUBCOMP does not wait for the deletion of awaiting-rel
	lazyPubrec       bool // PUBREL does not wait for the record of PUBREC
	freshIDs         bool // packet ids are not stored: a restart begins anew

	kills, crashes, drops uint8
}

const messages = 2

// kind is of a packet, an effect, or an operation of the store.
type kind uint8

const (
	none kind = iota
	publish
	puback
	pubrec
	pubrel
	pubcomp
	dispatch // to the session's mailbox
	opNothing
	opAdd      // a message to the log, its id to awaiting-rel
	opDelAwait // PUBREL came
	opPut      // a packet id of the session -> a place in the log
	opDel      // the same, done
)

// rec is a packet, an effect or an operation.
type rec struct {
	kind kind
	id   uint8 // packet id; of acknowledgements to the publisher, whose id is always 1, the connection
	msg  uint8
	at   uint8 // place in the log, unknown when nobody said
	rel  bool  // PUBREC has come
}

const unknown = 0xFF

// act is an effect; of a store operation, then follows when it is durable.
type act struct{ do, then rec }

// list is a value with elements of type T: equal lists are equal in a map key.
type list[T comparable] struct {
	n uint8
	a [8]T
}

func (l list[T]) all() []T { return l.a[:l.n] }

func (l *list[T]) push(v T) {
	if int(l.n) == len(l.a) {
		panic("the model has outgrown its lists")
	}
	l.a[l.n] = v
	l.n++
}

// without is l without element i.
func (l list[T]) without(i int) (out list[T]) {
	for j, v := range l.all() {
		if j != i {
			out.push(v)
		}
	}
	return out
}

func (l *list[T]) pop() T {
	v := l.a[0]
	*l = l.without(0)
	return v
}

// disk is what the store has made durable.
type disk struct {
	await bool
	log   list[uint8] // message numbers
	done  uint8       // places of the log that the session is done with, a bit each
	sent  list[rec]   // packet ids of the session, publish or pubrel
}

func (d *disk) apply(op rec) {
	switch op.kind {
	case opAdd:
		d.await = true
		d.log.push(op.msg)
	case opDelAwait:
		d.await = false
	case opPut:
		d.drop(op.id)
		d.sent.push(rec{publish, op.id, op.msg, op.at, op.rel})
	case opDel:
		d.drop(op.id)
		if op.at == unknown { // the first of its kind that is not done
			for i, m := range d.log.all() {
				if m == op.msg && d.done&(1<<i) == 0 {
					op.at = uint8(i)
					break
				}
			}
		}
		if op.at != unknown {
			d.done |= 1 << op.at
		}
	}
}

func (d *disk) drop(id uint8) {
	for i, f := range d.sent.all() {
		if f.id == id {
			d.sent = d.sent.without(i)
			return
		}
	}
}

// state is one state of everything.
type state struct {
	// Publisher: one message at a time, always with packet id 1.
	begun  uint8 // messages that were begun
	flying kind  // what it waits to have acknowledged: publish, pubrel or none
	conn   uint8 // number of its connection

	toBroker, toPublisher list[rec]

	// Protocol actor: its cell.
	await    bool
	effects  list[act]
	answered list[rec] // commits came back: what is to follow

	pending list[act] // the store's group
	disk    disk

	// Session: its cell.
	mail    list[rec]
	queue   list[rec]
	sent    list[rec]
	ids     uint8 // packet ids used
	outside list[act]

	toSubscriber, toSession list[rec]
	held                    uint8           // packet ids received and not released, a bit each
	got                     [messages]uint8 // deliveries to the application, at most 2 counted
	kills, crashes, drops   uint8           // left
}

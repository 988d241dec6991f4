// SPDX-License-Identifier: Apache-2.0

package client

import "emqttd/protocol/packet"

// flight is one publish of QoS 1 or 2, from Publish until it is acknowledged.
// It is always in exactly one of the session's lists.
type flight struct {
	packet  packet.Publish // as given, without Dup and automatic alias; Topic and Payload nil once released
	list    *flights
	prev    *flight
	next    *flight
	done    func(Result) // nil: loaded from the store
	wasSent bool         // on some connection; what is sent again has DUP set
}

// flights is a list of flights, linked so that any may leave it at once.
type flights struct {
	head, tail *flight
}

func (l *flights) pushBack(f *flight) {
	f.list, f.prev, f.next = l, l.tail, nil
	if l.tail == nil {
		l.head = f
	} else {
		l.tail.next = f
	}
	l.tail = f
}

func (f *flight) leave() {
	l := f.list
	if f.prev == nil {
		l.head = f.next
	} else {
		f.prev.next = f.next
	}
	if f.next == nil {
		l.tail = f.prev
	} else {
		f.next.prev = f.prev
	}
	f.list, f.prev, f.next = nil, nil, nil
}

func (f *flight) moveTo(l *flights) {
	f.leave()
	l.pushBack(f)
}

// takeAll moves the flights of from behind those of l.
func (l *flights) takeAll(from *flights) {
	for f := from.head; f != nil; f = from.head {
		f.moveTo(l)
	}
}

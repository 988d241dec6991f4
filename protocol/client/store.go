// SPDX-License-Identifier: Apache-2.0

package client

import (
	"sync"

	"emqttd/protocol/packet"
)

// Direction tells the two independent sets of packet identifiers apart
// [v3.1.1 2.3.1, v5 2.2.1].
type Direction uint8

const (
	Outgoing Direction = iota // client -> server
	Incoming                  // server -> client
)

// State is how far a stored message has come.
type State uint8

const (
	Published State = iota // Outgoing: PUBLISH not yet acknowledged
	Released               // Outgoing, QoS 2: PUBREC received, the message itself is no longer needed
	Received               // Incoming, QoS 2: handled, PUBREC sent, PUBREL not yet received
)

// Direction is the set of identifiers that s belongs to.
func (s State) Direction() Direction {
	if s == Received {
		return Incoming
	}
	return Outgoing
}

// Record is one message of a session.
type Record struct {
	State   State
	ID      packet.ID
	Publish *packet.Publish // of Published; not to be changed
}

// Store keeps a session. The Client calls it with itself locked, one call at a
// time, and ends the connection when a call fails.
type Store interface {
	// Load returns the records in the order of their latest Put.
	Load() ([]Record, error)
	// Put adds a record, or replaces the one of its direction and identifier.
	Put(Record) error
	// Delete removes a record; one that is not there is no error.
	Delete(Direction, packet.ID) error
}

// Memory is a Store that lets one Client go on where another stopped. The zero
// value is empty and ready.
type Memory struct {
	mu      sync.Mutex
	records []Record // at most 2 * 65 535, short in practice: a window
}

// Load implements Store.
func (m *Memory) Load() ([]Record, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]Record(nil), m.records...), nil
}

// Put implements Store.
func (m *Memory) Put(r Record) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.remove(r.State.Direction(), r.ID)
	m.records = append(m.records, r)
	return nil
}

// Delete implements Store.
func (m *Memory) Delete(d Direction, id packet.ID) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.remove(d, id)
	return nil
}

func (m *Memory) remove(d Direction, id packet.ID) {
	for i, r := range m.records {
		if r.ID == id && r.State.Direction() == d {
			m.records = append(m.records[:i], m.records[i+1:]...)
			return
		}
	}
}

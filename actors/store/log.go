// SPDX-License-Identifier: Apache-2.0

package store

import (
	"sync"
	"sync/atomic"

	"emqttd/protocol/message"
	"emqttd/supervisor/cell"
)

// Retained is told of every retained message at its acceptance.
type Retained interface {
	// Put takes m, whose position is set, under its topic; an empty payload
	// deletes.
	Put(m *message.Message)
}

// Log accepts commits: it gives their messages positions, tells the retained
// index, and queues them for the store actor, all in one act, so that the order
// of positions is the order of commits.
type Log struct {
	mu       sync.Mutex
	last     atomic.Uint64
	cell     *cell.Cell
	retained Retained
}

// NewLog makes a log that goes on behind position last. Commits go to c.
func NewLog(last uint64, c *cell.Cell, r Retained) *Log {
	l := &Log{cell: c, retained: r}
	l.last.Store(last)
	return l
}

// Position is that of the message accepted last.
func (l *Log) Position() uint64 { return l.last.Load() }

// Accept implements cell.Acceptor for *Commit.
func (l *Log) Accept(m cell.Message) {
	c := m.(*Commit)
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range c.Ops {
		op := &c.Ops[i]
		if op.Kind != Append && op.Kind != Retain {
			continue
		}
		if op.Message.ID.Seq == 0 {
			op.Message.ID.Seq = l.last.Load() + 1
			l.last.Store(op.Message.ID.Seq)
		}
		if op.Kind == Retain && l.retained != nil {
			l.retained.Put(op.Message)
		}
	}
	l.cell.Push(c)
}

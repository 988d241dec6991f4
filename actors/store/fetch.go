// SPDX-License-Identifier: Apache-2.0

package store

import (
	"errors"
	"slices"

	"emqttd/protocol/message"
	"emqttd/protocol/topic"
	"emqttd/supervisor/cell"
	"emqttd/supervisor/mailbox"
)

// Waiting is a message that waits for a session, but for the message.
type Waiting struct {
	Seq   uint64 // position
	Size  uint32 // message.Message.Size
	Found bool   // it is delivered as retained
}

// Fetcher is an Engine that gives single messages back, so that what waits need not
// be in memory.
type Fetcher interface {
	// Resume is Sessions for a start of the broker: what waits comes as
	// Stored.Waiting and Queue is empty. A session that is a member of a shared
	// group has its Queue all the same: which messages are the group's is told by
	// their topics.
	Resume(yield func(Stored) bool) error
	// Fetch is the messages at positions that wait for a session; nil in the place
	// of one that is not the session's any more, or that is not written yet. It may
	// be called from any goroutine, until Close.
	Fetch(session uint64, positions []uint64) ([]*message.Message, error)
}

// Shares reports whether the session is a member of a shared group.
func (s *Stored) Shares() bool {
	return slices.ContainsFunc(s.Filters, func(f Filter) bool {
		_, shared, _ := topic.ParseShare(f.Text)
		return shared
	})
}

// Errors of Fetched.
var (
	ErrBusy  = errors.New("store: too many wait for messages")
	errFetch = errors.New("store: fetching messages has crashed")
)

// Fetch asks for messages that wait. session -> Reader.
type Fetch struct {
	mailbox.Link
	Session   uint64
	Positions []uint64
	Reply     *cell.Cell
	Token     uint64
}

// Fetched answers a Fetch. Reader -> session.
type Fetched struct {
	mailbox.Link
	Token     uint64
	Positions []uint64
	Messages  []*message.Message // for each position; nil: it is not there
	Err       error
}

// Reader hands fetches to where they may wait for the disk (cell.Acceptor).
type Reader struct {
	Engine Fetcher
	Try    func(func()) bool // runs it; false: there is no room for more
}

// Accept implements cell.Acceptor.
func (r *Reader) Accept(m cell.Message) {
	f := m.(*Fetch)
	if !r.Try(func() { r.read(f) }) {
		f.Reply.Push(&Fetched{Token: f.Token, Err: ErrBusy})
	}
}

// read answers in any case: a session waits for it.
func (r *Reader) read(f *Fetch) {
	out := &Fetched{Token: f.Token, Positions: f.Positions, Err: errFetch}
	defer f.Reply.Push(out)
	out.Messages, out.Err = r.Engine.Fetch(f.Session, f.Positions)
}

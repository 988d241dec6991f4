// SPDX-License-Identifier: Apache-2.0

// Package cm is the client manager: it knows which clients are connected and
// which sessions there are, for whoever looks from outside. It is emqttd_cm with
// the mqtt_client and mqtt_session tables, which emqttd's processes wrote and its
// command line and dashboard read.
//
// Here, too, the table is shared and not an actor's: the protocol and sm actors
// tell it of changes as effects (cell.Acceptor), each within a microsecond, and
// readers work on snapshots that cost nothing to take, so that a page of a
// hundred thousand clients keeps no event loop waiting. What stands in it never
// changes; figures that do are asked of the connection on its own group.
//
// No crash touches it: an effect is done once or not at all, and a restarted
// actor finds the table as it was.
package cm

import (
	"sync"

	"github.com/tidwall/btree"

	"emqttd/actors/cast"
	"emqttd/supervisor/cell"
)

// Directory is the table of connected clients and of sessions, both ordered by
// client id. It implements cell.Acceptor for the messages of cast/directory.go.
type Directory struct {
	mu       sync.Mutex // of both tables, which have no locks of their own
	clients  *btree.BTreeG[*cast.Client]
	sessions *btree.BTreeG[*cast.SessionOpened]
	watch    func(m cell.Message)

	// What is looked for, under mu: one each, since they are as large as what is found.
	client  cast.Client
	session cast.SessionOpened
}

// NewDirectory makes an empty directory. watch, which may be nil, sees every
// message behind its effect, on the loop that brought it: it must not wait.
func NewDirectory(watch func(m cell.Message)) *Directory {
	if watch == nil {
		watch = func(cell.Message) {}
	}
	bare := btree.Options{NoLocks: true}
	return &Directory{
		clients:  btree.NewBTreeGOptions(func(a, b *cast.Client) bool { return a.ClientID < b.ClientID }, bare),
		sessions: btree.NewBTreeGOptions(func(a, b *cast.SessionOpened) bool { return a.ClientID < b.ClientID }, bare),
		watch:    watch,
	}
}

// Accept implements cell.Acceptor. What is said of one client id comes from the
// one loop of its connection, but for a takeover: then the later connection may
// arrive before the earlier is gone, and on another loop.
func (d *Directory) Accept(m cell.Message) {
	d.put(m)
	d.watch(m)
}

func (d *Directory) put(m cell.Message) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch m := m.(type) {
	case *cast.Client:
		if old, had := d.clients.Set(m); had && old.Epoch > m.Epoch {
			d.clients.Set(old)
		}
	case *cast.ClientGone:
		d.client.ClientID = m.ClientID
		if c, ok := d.clients.Delete(&d.client); ok && c.Conn != m.Conn {
			d.clients.Set(c) // of a connection that came later
		}
	case *cast.SessionOpened:
		d.sessions.Set(m)
	case *cast.SessionEnded:
		d.session.ClientID = m.ClientID
		if s, ok := d.sessions.Delete(&d.session); ok && s.Session != m.Session {
			d.sessions.Set(s)
		}
	}
}

// Client is the connected client with an id.
func (d *Directory) Client(id string) (*cast.Client, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.client.ClientID = id
	return d.clients.Get(&d.client)
}

// Session is the session of a client id.
func (d *Directory) Session(id string) (*cast.SessionOpened, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.session.ClientID = id
	return d.sessions.Get(&d.session)
}

// Snapshot is a table at one moment, in the order of client ids. Taking one
// copies nothing; it may be read for as long as anybody likes.
type Snapshot[T any] struct{ tree *btree.BTreeG[T] }

// Clients is a snapshot of the connected clients.
func (d *Directory) Clients() Snapshot[*cast.Client] {
	d.mu.Lock()
	defer d.mu.Unlock()
	return Snapshot[*cast.Client]{d.clients.Copy()}
}

// Sessions is a snapshot of the sessions.
func (d *Directory) Sessions() Snapshot[*cast.SessionOpened] {
	d.mu.Lock()
	defer d.mu.Unlock()
	return Snapshot[*cast.SessionOpened]{d.sessions.Copy()}
}

// Len is the number of entries.
func (s Snapshot[T]) Len() int { return s.tree.Len() }

// At is the entry at position i, below Len, in a time that grows with the
// logarithm of i.
func (s Snapshot[T]) At(i int) T {
	v, _ := s.tree.GetAt(i)
	return v
}

// All calls yield for every entry in order, until it returns false.
func (s Snapshot[T]) All(yield func(T) bool) { s.tree.Scan(yield) }

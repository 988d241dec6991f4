// SPDX-License-Identifier: Apache-2.0

package retainer

import (
	"slices"
	"sync"
	"sync/atomic"

	"emqttd/actors/cast"
	"emqttd/protocol/message"
	"emqttd/protocol/topic"
	"emqttd/supervisor/cell"
	"emqttd/supervisor/group"
	"emqttd/supervisor/mailbox"
)

// Index is the retained messages by topic. Readers never wait; writers take
// turns.
type Index struct {
	names    *topic.Index[entry]
	bytes    atomic.Int64 // of memory that the messages are charged for
	resident atomic.Int64 // of it, those of messages with their payload
	loading  atomic.Bool

	source Source // nil: everything is in memory
	pool   *group.Pool
	room   int64 // resident at most, as long as the source has the others

	mu   sync.Mutex          // of writers
	gone map[string]struct{} // topics that were cleared while the index is loaded
}

// entry is one retained message, or what has to be known of it.
type entry struct {
	msg        *message.Message // nil: the source has it
	seq        uint64
	at, expiry int64
}

func entryOf(m *message.Message) entry { return entry{m, m.ID.Seq, m.At, m.Expiry} }

// charge is the memory that an entry is charged for.
func (e entry) charge(name string) (bytes, resident int64) {
	if e.msg == nil {
		return int64((&message.Message{Topic: name}).Size()), 0
	}
	return int64(e.msg.Size()), int64(e.msg.Size())
}

// Source has the retained messages that the index has not in memory: a store.
type Source interface {
	// Lookup is the retained messages of topics, nil for those that have none. It
	// waits for the disk.
	Lookup(topics []string) ([]*message.Message, error)
}

// NewIndex is an empty index that keeps everything in memory.
func NewIndex(maxLevels int) *Index {
	return &Index{names: topic.NewIndex[entry](maxLevels)}
}

// NewSeededIndex is an empty index whose order of a walk the seed decides: a place
// in it outlives the process.
func NewSeededIndex(maxLevels int, seed uint64) *Index {
	return &Index{names: topic.NewSeededIndex[entry](maxLevels, seed)}
}

// From lets messages that Stored was told of stay in s, as soon as those in
// memory are charged for more than room; they are read on the pool. It is called
// before anything else.
func (x *Index) From(s Source, pool *group.Pool, room int64) {
	x.source, x.pool, x.room = s, pool, room
}

// Put implements store.Retained [v3.1.1 MQTT-3.3.1-5 -10 -11, v5 MQTT-3.3.1-5 -6 -7].
func (x *Index) Put(m *message.Message) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if len(m.Payload) > 0 {
		x.put(m.Topic, entryOf(m))
		return
	}
	if x.gone != nil {
		x.gone[m.Topic] = struct{}{}
	}
	x.remove(m.Topic)
}

func (x *Index) put(name string, e entry) {
	old, had := x.names.Put(name, e)
	x.charged(name, e, 1)
	if had {
		x.charged(name, old, -1)
	}
}

func (x *Index) remove(name string) {
	if old, had := x.names.Delete(name); had {
		x.charged(name, old, -1)
	}
}

func (x *Index) charged(name string, e entry, sign int64) {
	bytes, resident := e.charge(name)
	x.bytes.Add(sign * bytes)
	x.resident.Add(sign * resident)
}

// Load begins the reading of what was retained before the start; the returned
// functions take one message, and end it. Meanwhile newer messages may be Put.
func (x *Index) Load() (take func(*message.Message), end func()) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.gone = map[string]struct{}{}
	x.loading.Store(true)
	return x.take, func() {
		x.mu.Lock()
		defer x.mu.Unlock()
		x.gone = nil
		x.loading.Store(false)
	}
}

func (x *Index) take(m *message.Message) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if _, gone := x.gone[m.Topic]; gone || x.Has(m.Topic) {
		return
	}
	x.put(m.Topic, x.fit(entryOf(m)))
}

// fit is e without its message when there is no room for it.
func (x *Index) fit(e entry) entry {
	if x.source != nil && x.resident.Load()+int64(e.msg.Size()) > x.room {
		e.msg = nil
	}
	return e
}

// Loading reports whether not all topics are known yet.
func (x *Index) Loading() bool { return x.loading.Load() }

// Stored is told that the source has messages: those for which there is no room
// leave the memory.
func (x *Index) Stored(ms []*message.Message) {
	if x.source == nil || x.resident.Load() <= x.room {
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, m := range ms {
		if now, ok := x.names.Get(m.Topic); ok && now.msg == m && x.resident.Load() > x.room {
			now.msg = nil
			x.put(m.Topic, now)
		}
	}
}

// Reaches reports whether a filter may match a retained message; false is certain.
func (x *Index) Reaches(filter string) bool { return x.Loading() || x.names.Reaches(filter) }

// Has reports whether a topic has a retained message.
func (x *Index) Has(name string) bool {
	_, ok := x.names.Get(name)
	return ok
}

// Get is the retained message of a topic, nil when there is none. It may wait for
// the disk: it is not for event loops.
func (x *Index) Get(name string) *message.Message {
	m, there := x.Peek(name)
	if m == nil && there {
		if ms, err := x.source.Lookup([]string{name}); err == nil {
			return ms[0]
		}
	}
	return m
}

// Peek is Get of what is in memory; there says that the topic has a retained
// message, in memory or not.
func (x *Index) Peek(name string) (m *message.Message, there bool) {
	e, ok := x.names.Get(name)
	return e.msg, ok
}

// Len is the number of topics; Bytes what their messages are charged for.
func (x *Index) Len() int { return x.names.Len() }

// Bytes is the memory that the messages are charged for.
func (x *Index) Bytes() int64 { return x.bytes.Load() }

// Walk calls yield for retained messages of a filter until it returns false. It
// may wait for the disk, and fails as that does.
func (x *Index) Walk(filter string, yield func(*message.Message) bool) {
	const batch = 256
	var cur topic.Cursor
	for {
		out, next, done := x.names.Match(filter, cur, batch, nil)
		for _, e := range out {
			m := e.Value.msg
			if m == nil {
				m = x.Get(e.Name)
			}
			if m != nil && !yield(m) {
				return
			}
		}
		if done {
			return
		}
		cur = next
	}
}

// Accept implements cell.Acceptor for *forget: expired messages leave the index,
// unless a newer one has taken their place.
func (x *Index) Accept(m cell.Message) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, e := range m.(*forget).entries {
		if now, ok := x.names.Get(e.Name); ok && now.seq == e.Value.seq && now.at == e.Value.at {
			x.remove(e.Name)
		}
	}
}

type (
	// forget names messages that have expired.
	forget struct {
		mailbox.Link
		entries []topic.Entry[entry]
	}
	// fetch is a batch of which some messages are to be read. retainer -> pool.
	fetch struct {
		mailbox.Link
		match   *cast.Match
		self    *cell.Cell
		out     *cast.Matched
		missing []int // places in out.Messages
		topics  []string
	}
	// busy gives a lookup back that the pool had no room for. self.
	busy struct {
		mailbox.Link
		match *cast.Match
	}
	// reader hands a fetch to the pool (cell.Acceptor).
	reader struct{ *Index }
)

// Accept implements cell.Acceptor.
func (r reader) Accept(m cell.Message) {
	f := m.(*fetch)
	if !r.pool.Try(func() { f.read(r.source) }) {
		f.self.Push(&busy{match: f.match})
	}
}

// read answers the session. A message that has been cleared or replaced since is
// left out or comes newer, and then also live. A store that cannot be read is
// about to end the broker.
func (f *fetch) read(s Source) {
	found, err := s.Lookup(f.topics)
	for i, place := range f.missing {
		if err == nil {
			f.out.Messages[place] = found[i]
		}
	}
	f.out.Messages = slices.DeleteFunc(f.out.Messages, func(m *message.Message) bool { return m == nil })
	f.match.Reply.Push(f.out)
}

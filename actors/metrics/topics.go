// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"errors"
	"maps"
	"sort"
	"sync"
	"sync/atomic"
	"time"
)

// Topics count the messages of single topics that an operator has asked for: of
// all topics would be a counter for whatever clients think of. A nil Topics
// counts nothing.
type Topics struct {
	max   int
	mu    sync.Mutex // of those who change the table
	table atomic.Pointer[map[string]*Topic]
}

// Topic counts the messages of one topic.
type Topic struct {
	Received, Sent [3]Counter // by QoS
	Dropped        Counter    // published, and nobody had subscribed
	Since          time.Time
}

// Errors of Add.
var (
	ErrTopics     = errors.New("metrics: as many topics are counted as topic_metrics.max_topics allows: remove one first")
	ErrTopicThere = errors.New("metrics: the topic is counted already")
)

// NewTopics makes a table for at most n topics.
func NewTopics(n int) *Topics { return &Topics{max: n} }

// Find is the counters of a topic, nil when nobody asked for it. It costs a load
// while nobody asked for any.
func (t *Topics) Find(name string) *Topic {
	if t == nil {
		return nil
	}
	if table := t.table.Load(); table != nil {
		return (*table)[name]
	}
	return nil
}

// On reports whether any topic is counted.
func (t *Topics) On() bool { return t != nil && t.table.Load() != nil }

// Add begins to count a topic.
func (t *Topics) Add(name string, now time.Time) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	next := map[string]*Topic{}
	if old := t.table.Load(); old != nil {
		next = maps.Clone(*old)
	}
	switch {
	case next[name] != nil:
		return ErrTopicThere
	case len(next) >= t.max:
		return ErrTopics
	}
	next[name] = &Topic{Since: now}
	t.table.Store(&next)
	return nil
}

// Remove ends the counting of a topic and reports whether it was counted.
func (t *Topics) Remove(name string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.Find(name) == nil {
		return false
	}
	next := maps.Clone(*t.table.Load())
	delete(next, name)
	if len(next) == 0 {
		t.table.Store(nil)
	} else {
		t.table.Store(&next)
	}
	return true
}

// Names are the topics that are counted, sorted.
func (t *Topics) Names() (names []string) {
	if table := t.table.Load(); table != nil {
		for name := range *table {
			names = append(names, name)
		}
	}
	sort.Strings(names)
	return names
}

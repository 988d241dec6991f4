// SPDX-License-Identifier: Apache-2.0

package topic

import "strings"

// Trie holds filters with a value each and finds those that match a name: the
// router's table. Any number of goroutines may read it while one writes, and
// never wait; writers wait for each other. A change is seen by every Match that
// begins after it returned; a Match it overlaps sees it or not, filter by filter.
//
// The trie stores pointers and does not look behind them: what readers and the
// writer do to one V is between them. Make a Trie with NewTrie.
type Trie[V any] struct{ tree tree[V] }

// DefaultSteps is Match's bound when it is given none. A name of up to twelve
// levels, each below 64 bytes, cannot reach it, whatever filters are stored: see
// Match.
const DefaultSteps = 1 << 14

const bytesPerStep = 64 // see Match

// NewTrie returns an empty trie for filters of at most maxLevels levels, # and
// + included; zero or less means DefaultLevels.
func NewTrie[V any](maxLevels int) *Trie[V] {
	t := new(Trie[V])
	t.tree.init(maxLevels, randomHasher())
	return t
}

// NewSeededTrie is NewTrie with an order of Walk that the seed decides, for a
// simulation. A seed that a peer can guess lets it choose levels that collide.
func NewSeededTrie[V any](maxLevels int, seed uint64) *Trie[V] {
	t := new(Trie[V])
	t.tree.init(maxLevels, seededHasher(seed))
	return t
}

// Upsert calls f under the writer's lock with the value stored for filter, nil
// when there is none, and stores what it returns; nil removes the filter. When
// f panics nothing has changed. f must not write to the same trie.
//
// It panics on a filter that ValidFilter refuses for the trie's levels: the
// caller has answered the peer before.
func (t *Trie[V]) Upsert(filter string, f func(old *V) *V) {
	t.tree.check(ValidFilter(filter, Limits{Levels: t.tree.levels}), filter)
	t.tree.upsert(filter, f)
}

// Get returns the value stored for this very filter, or nil.
func (t *Trie[V]) Get(filter string) *V { return t.tree.get(filter) }

// Len is the number of filters stored.
func (t *Trie[V]) Len() int { return int(t.tree.count.Load()) }

// branch is a node that is reached, with the rest of the name to match below.
type branch[V any] struct {
	n   *node[V]
	pos int // where the next level of the name begins; beyond its end: none left
}

// Match appends the value of every filter that matches name to dst, in no
// particular order, each once. It allocates nothing but the
// growth of dst (and, for names that branch at more than sixteen levels, of its
// own stack).
//
// At every level the name may go on below the literal child and below +, so
// with L levels up to 2^(L+1)-1 nodes can match, if 2^L filters are stored to
// that end. One step is one node reached, or a further level of its key compared
// by itself; and another for every 64 bytes that had to be read for it, lest
// long levels make steps dear. After maxSteps of them (zero or less:
// DefaultSteps) Match gives up: ok is false, out has what was found so far.
func (t *Trie[V]) Match(dst []*V, name string, maxSteps int) (out []*V, ok bool) {
	if name == "" {
		return dst, true
	}
	if maxSteps <= 0 {
		maxSteps = DefaultSteps
	}
	var array [16]branch[V]
	pending := array[:0]
	b := branch[V]{n: &t.tree.root}
	// [v3.1.1 MQTT-4.7.2-1, v5 MQTT-4.7.2-1] no wildcard in the first level for
	// a name that begins with $; below the first level there is no such rule.
	wild := name[0] != '$'
	for steps := maxSteps - 1; steps >= 0; steps-- {
		if v := b.n.multi.Load(); v != nil && wild {
			dst = append(dst, v)
		}
		if b.pos > len(name) {
			if v := b.n.own.Load(); v != nil {
				dst = append(dst, v)
			}
		} else {
			level := firstLevel(name[b.pos:])
			steps -= len(level) / bytesPerStep
			if c := b.n.plus.Load(); c != nil && wild {
				next, cost := follow(c.key, name, b.pos)
				steps -= cost
				if next > 0 {
					pending = append(pending, branch[V]{c, next})
				}
			}
			if c := t.tree.literal(b.n, level); c != nil {
				next, cost := follow(c.key, name, b.pos)
				steps -= cost
				if next > 0 {
					b, wild = branch[V]{c, next}, true
					continue
				}
			}
		}
		if len(pending) == 0 {
			return dst, steps >= 0
		}
		b = pending[len(pending)-1]
		pending = pending[:len(pending)-1]
	}
	return dst, false
}

// follow matches the levels of key with those of name from pos. It returns
// where the level after them begins, 0 when they do not match, and what that
// cost in steps.
func follow(key, name string, pos int) (next, cost int) {
	rest := name[pos:]
	cost = min(len(key), len(rest)) / bytesPerStep
	if strings.HasPrefix(rest, key) && (len(rest) == len(key) || rest[len(key)] == '/') {
		return pos + len(key) + 1, cost
	}
	for ; ; cost++ {
		if pos > len(name) {
			return 0, cost
		}
		want, have := firstLevel(key), firstLevel(name[pos:])
		if want != "+" && want != have {
			return 0, cost
		}
		cost += len(have) / bytesPerStep
		pos += len(have) + 1
		if len(want) == len(key) {
			return pos, cost
		}
		key = key[len(want)+1:]
	}
}

// Walk calls yield for the filters that come behind after, at most limit of
// them, until it returns false; after "" is the beginning, later the last filter
// yielded. The order is stable as long as the trie lives, and is none that a
// reader would recognise: page with it, sort what is shown.
//
// It takes no lock and may be long between two pages: every filter stored from
// the first to the last is yielded exactly once, whatever else changes. yield
// may change the trie.
func (t *Trie[V]) Walk(after string, limit int, yield func(filter string, v *V) bool) {
	w := t.tree.walk("", after, after != "")
	for limit > 0 {
		v, ok := w.next()
		if !ok {
			return
		}
		if v == nil {
			continue
		}
		if !yield(string(w.path), v) {
			return
		}
		limit--
	}
}

// SPDX-License-Identifier: Apache-2.0

package topic

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"unsafe"
)

// A tree holds filters, or names, level by level. A level that does not branch
// has no node of its own: a node's key is as many levels as it has alone, so
// that there are at most two nodes for each filter stored, whatever its depth.
//
// One writer at a time, under mu. Readers take no lock: whatever they reach was
// complete before one atomic store made it reachable. A node that has to get
// another key is replaced by a copy; a reader standing on the old one finishes
// its walk on what was true when it came.
type tree[V any] struct {
	mu     sync.Mutex // writers only
	root   node[V]    // of no level: its children are first levels, multi is "#"
	hash   hasher
	stone  *node[V] // the gravestone of removed children
	levels int      // bound on the levels of a filter, see check
	count  atomic.Int64
}

// node stands for the filters that begin with the levels on the way to it.
// Except for the root, one without a value has at least two children.
type node[V any] struct {
	key   string                   // one level or more; never changes
	own   atomic.Pointer[V]        // the value of the filter that ends here
	multi atomic.Pointer[V]        // of the one that ends here with /#
	plus  atomic.Pointer[node[V]]  // the child whose key begins with the level +
	kids  atomic.Pointer[table[V]] // the children whose keys begin otherwise
}

// newNode makes a node with a copy of key: a cut from a longer text would keep the
// whole of a long filter alive for the sake of one level. A short key stands behind
// its node, in the same allocation: whoever reads a node compares its key first,
// and with 1,000,000 filters each place in memory that it has to read is one that
// no cache has.
func newNode[V any](key string) *node[V] {
	switch n := len(key); {
	case n <= 16:
		x := new(struct {
			node[V]
			text [16]byte
		})
		x.key = copied(x.text[:], key)
		return &x.node
	case n <= 32:
		x := new(struct {
			node[V]
			text [32]byte
		})
		x.key = copied(x.text[:], key)
		return &x.node
	}
	return &node[V]{key: strings.Clone(key)}
}

// copied is a copy of s in buf, which has room for it and stays what it is.
func copied(buf []byte, s string) string {
	copy(buf, s)
	return unsafe.String(unsafe.SliceData(buf), len(s))
}

// A gravestone has the one key no node can have: # is never part of a key.
const stoneKey = "#"

func (n *node[V]) gravestone() bool { return n.key == stoneKey }

func (t *tree[V]) init(levels int, hash hasher) {
	if levels <= 0 {
		levels = DefaultLevels
	}
	t.levels, t.hash, t.stone = levels, hash, &node[V]{key: stoneKey}
}

// begins reports whether level is the first level of n's key.
func (n *node[V]) begins(level string) bool {
	return strings.HasPrefix(n.key, level) && (len(n.key) == len(level) || n.key[len(level)] == '/')
}

func (n *node[V]) empty() bool { return n.own.Load() == nil && n.multi.Load() == nil }

// value is where the value of the filter that ends at n is kept.
func (n *node[V]) value(multi bool) *atomic.Pointer[V] {
	if multi {
		return &n.multi
	}
	return &n.own
}

// firstLevel returns s up to its first slash.
func firstLevel(s string) string {
	for i := 0; i < len(s); i++ {
		if s[i] == '/' {
			return s[:i]
		}
	}
	return s
}

// commonLevels returns the length in bytes of the levels that a and b begin
// with alike. Their first levels are equal.
func commonLevels(a, b string) int {
	i, slash := 0, 0
	for ; i < len(a) && i < len(b) && a[i] == b[i]; i++ {
		if a[i] == '/' {
			slash = i
		}
	}
	if (i == len(a) || a[i] == '/') && (i == len(b) || b[i] == '/') {
		return i
	}
	return slash
}

// cutMulti separates the levels that are nodes from a final #. The filter "#"
// has no such level (below is false), unlike "/#", which has an empty one.
func cutMulti(filter string) (levels string, below, multi bool) {
	if filter == "#" {
		return "", false, true
	}
	levels, multi = strings.CutSuffix(filter, "/#")
	return levels, true, multi
}

// spot is how far a filter leads into the tree.
type spot[V any] struct {
	grand, parent *node[V] // above at; nil above the root
	at            *node[V] // the last node whose key is wholly part of the filter
	more          bool     // levels of the filter lie below at: rest
	rest          string
	fork          *node[V] // the child of at that shares some levels of rest, not all of its key
	common        int      // how many bytes of rest those are
}

// locate follows the levels of a filter as far as they are stored. Readers and
// the writer use it alike.
func (t *tree[V]) locate(levels string, below bool) spot[V] {
	s := spot[V]{at: &t.root, rest: levels, more: below}
	for s.more {
		c := t.child(s.at, s.rest)
		if c == nil {
			return s
		}
		common := commonLevels(c.key, s.rest)
		if common < len(c.key) {
			s.fork, s.common = c, common
			return s
		}
		s.grand, s.parent, s.at = s.parent, s.at, c
		if s.more = common < len(s.rest); s.more {
			s.rest = s.rest[common+1:]
		}
	}
	return s
}

// child returns n's child that begins with the first level of rest, or nil.
func (t *tree[V]) child(n *node[V], rest string) *node[V] {
	level := firstLevel(rest)
	if level == "+" {
		return n.plus.Load()
	}
	return t.literal(n, level)
}

// literal returns n's child that begins with level, taken for what it is even
// where it looks like a wildcard, or nil.
func (t *tree[V]) literal(n *node[V], level string) *node[V] {
	if kids := n.kids.Load(); kids != nil {
		return kids.find(t.hash.hash(level), level)
	}
	return nil
}

// get returns the value of filter, or nil.
func (t *tree[V]) get(filter string) *V {
	levels, below, multi := cutMulti(filter)
	if s := t.locate(levels, below); !s.more {
		return s.at.value(multi).Load()
	}
	return nil
}

// reaches reports whether a name can be stored that begins with the levels of
// filter before its first wildcard.
func (t *tree[V]) reaches(filter string) bool {
	end := strings.IndexAny(filter, "+#")
	if end <= 0 {
		return true
	}
	s := t.locate(filter[:end-1], true) // without the slash
	return !s.more || s.fork != nil && s.common == len(s.rest)
}

// check panics when filter is one the caller should have refused: stored, it
// would be found by no name, or make every walk deeper than was agreed.
func (t *tree[V]) check(err error, filter string) {
	if err != nil {
		panic(fmt.Sprintf("%v (bound %d levels): %.100q", err, t.levels, filter))
	}
}

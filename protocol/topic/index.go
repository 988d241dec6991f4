// SPDX-License-Identifier: Apache-2.0

package topic

// Index holds names with a value each and finds those that a filter matches:
// the table of retained messages. Any number of goroutines may read it while
// one writes, and never wait. Make it with NewIndex.
//
// It is the Trie's tree without wildcards in it. Sixteen bytes of each node lie
// idle for that; a second kind of tree would cost a newcomer more.
type Index[V any] struct{ tree tree[V] }

// Entry is a name and its value.
type Entry[V any] struct {
	Name  string
	Value V
}

// Cursor is how far a walk has come. The zero Cursor is the beginning. It stays
// valid whatever is put or deleted; it belongs to one filter and to indexes of one
// seed.
type Cursor struct {
	after string
	begun bool
}

// Behind is the cursor of a walk that goes on behind a name, whether it is stored
// or not.
func Behind(name string) Cursor { return Cursor{after: name, begun: true} }

// The steps of one Match: enough when most of what it passes matches.
const (
	stepsPerResult = 8
	stepsAtLeast   = 64
	pathPerStep    = 256 // bytes of a name that count as another step
)

// NewIndex returns an empty index for names of at most maxLevels levels; zero
// or less means DefaultLevels.
func NewIndex[V any](maxLevels int) *Index[V] {
	x := new(Index[V])
	x.tree.init(maxLevels, randomHasher())
	return x
}

// NewSeededIndex is NewIndex with an order of Match that the seed decides, so that
// a cursor can be written down and taken up by another process. A seed that a peer
// can guess lets it choose levels that collide.
func NewSeededIndex[V any](maxLevels int, seed uint64) *Index[V] {
	x := new(Index[V])
	x.tree.init(maxLevels, seededHasher(seed))
	return x
}

// Put stores v for name and returns what was stored before. It panics on a name
// that ValidName refuses for the index's levels.
func (x *Index[V]) Put(name string, v V) (old V, had bool) {
	x.tree.check(ValidName(name, Limits{Levels: x.tree.levels}), name)
	x.tree.upsert(name, func(o *V) *V {
		if had = o != nil; had {
			old = *o
		}
		return &v
	})
	return old, had
}

// Delete removes name and returns what was stored.
func (x *Index[V]) Delete(name string) (old V, had bool) {
	if HasWildcard(name) || name == "" {
		return old, false
	}
	x.tree.upsert(name, func(o *V) *V {
		if had = o != nil; had {
			old = *o
		}
		return nil
	})
	return old, had
}

// Get returns the value of name.
func (x *Index[V]) Get(name string) (v V, ok bool) {
	if p := x.tree.get(name); p != nil {
		return *p, true
	}
	return v, false
}

// Reaches reports whether a name that filter matches may be stored; false is
// certain.
func (x *Index[V]) Reaches(filter string) bool {
	switch {
	case filter == "" || x.Len() == 0:
		return false
	case !HasWildcard(filter):
		return x.tree.get(filter) != nil
	}
	return x.tree.reaches(filter)
}

// Len is the number of names stored.
func (x *Index[V]) Len() int { return int(x.tree.count.Load()) }

// Match appends names that filter matches to dst, with their values, and returns
// where it stopped; the next call goes on from there, and done says that there
// is nothing behind. It appends at most limit (at least 1) and takes at most 64
// steps and 8 for each of them, a step being a node reached, and more for a long
// name. So it may find nothing and not be done: "+/x" over a million names
// without an x does not hold its caller up.
//
// A name that is stored from the first call to the last is returned exactly
// once, with a value it had meanwhile; one that comes or goes, at most once.
//
// The cost is in proportion to the names that agree with the levels before the
// first wildcard, less those that a later level rules out with all their kin.
func (x *Index[V]) Match(filter string, cur Cursor, limit int, dst []Entry[V]) (out []Entry[V], next Cursor, done bool) {
	if filter == "" {
		return dst, Cursor{}, true
	}
	if !HasWildcard(filter) { // most subscriptions: nothing to walk
		if v := x.tree.get(filter); v != nil {
			dst = append(dst, Entry[V]{filter, *v})
		}
		return dst, Cursor{}, true
	}
	if !x.tree.reaches(filter) { // most of the others: nothing to begin at
		return dst, Cursor{}, true
	}
	limit = max(limit, 1)
	w := x.tree.walk(filter, cur.after, cur.begun)
	for steps := stepsAtLeast + stepsPerResult*limit; steps > 0 && limit > 0; steps-- {
		v, ok := w.next()
		steps -= len(w.path) / pathPerStep
		if !ok {
			return dst, Cursor{}, true
		}
		if v != nil {
			dst = append(dst, Entry[V]{string(w.path), *v})
			limit--
		}
	}
	return dst, Cursor{string(w.path), true}, false
}

// SPDX-License-Identifier: Apache-2.0

package topic

import "unsafe"

// Lanes is how many names Ahead takes at once.
const Lanes = 16

// manySlots is how many slots a table has that no cache is expected to hold.
const manySlots = 512

// Ahead reads the memory that Match of names, the first Lanes of them, will have to
// wait for. With a million filters the few places on the way of a name are in no
// cache, and Match reads one behind the other; Ahead takes the same step for all
// names before it takes the next one, so that the processor waits for all of them
// together. found are the values of the filters that end where a name has come out
// of the first large table on its way, nil for others.
//
// It is a hint and no match: it compares hashes alone. It allocates nothing.
func (t *Trie[V]) Ahead(names [][]byte) (found [Lanes]*V) {
	names = names[:min(len(names), Lanes)]
	var hashes [Lanes]uint32
	var slots [Lanes]*slot[V]
	var nodes [Lanes]*node[V]
	for i, name := range names {
		slots[i], hashes[i] = t.tree.large(unsafe.String(unsafe.SliceData(name), len(name)))
	}
	for i := range names {
		if slots[i] == nil {
			continue
		}
		if n := slots[i].node.Load(); n != nil && slots[i].hash == hashes[i] {
			nodes[i] = n
		}
	}
	for i := range names {
		if n := nodes[i]; n != nil {
			found[i] = n.own.Load()
		}
	}
	return found
}

// large follows a name down to the first table that is large, and returns the slot
// where that has its next level, if its home is not taken, and the level's hash; nil
// if the way ends before.
func (t *tree[V]) large(name string) (*slot[V], uint32) {
	n := &t.root
	for pos := 0; pos < len(name); {
		kids := n.kids.Load()
		if kids == nil {
			return nil, 0
		}
		level := firstLevel(name[pos:])
		h := t.hash.hash(level)
		flat := kids
		if kids.dir != nil {
			flat = kids.dir[h>>(32-dirBits)].Load()
		}
		if kids.dir != nil || len(flat.slots) >= manySlots {
			return &flat.slots[flat.home(h)&(len(flat.slots)-1)], h
		}
		if n = kids.find(h, level); n == nil {
			return nil, 0
		}
		if pos, _ = follow(n.key, name, pos); pos == 0 {
			return nil, 0
		}
	}
	return nil, 0
}

// SPDX-License-Identifier: Apache-2.0

package topic

import (
	"cmp"
	"strings"
)

// A walker visits what a tree holds in an order that can be taken up again in
// another call, with the text last reached as the only thing remembered.
//
// The order, among what is stored below one node: its own value, its # value,
// the child +, the literal children by (hash, level). A place in that order is
// a text, not a node: it stays where it is when nodes are cut, joined, added or
// removed, also when its own text is gone. So everything that is stored from
// the first call to the last is visited exactly once, and a call may see or
// miss what came or went meanwhile.
//
// A walker reads as every reader does, without a lock.
type walker[V any] struct {
	tree   *tree[V]
	filter string // what the visited names must match; "" = everything, also $
	path   []byte // the levels from the root to the top of stack
	stack  []frame[V]
}

// frame is a node that the walker has reached but not finished.
type frame[V any] struct {
	n    *node[V]
	end  int // length of path at n
	pos  int // where in filter the level below n begins; see whole, and below
	step step

	// The child last taken, when step is stepLiterals: those behind it are next, or
	// it too with upto.
	hash  uint32
	level string
	upto  bool
}

// whole, for frame.pos, says that the filter has come to its #: all that is
// below n matches. A pos beyond the filter's end: nothing below n does.
const whole = -1

// step is what comes next at a node.
type step uint8

const (
	stepOwn step = iota
	stepMulti
	stepPlus
	stepLiterals
)

// walk returns a walker that begins behind the text after; with begun false, at
// the very beginning.
func (t *tree[V]) walk(filter, after string, begun bool) *walker[V] {
	w := &walker[V]{tree: t, filter: filter}
	top := frame[V]{n: &t.root, pos: whole, step: stepMulti}
	if filter != "" {
		top.pos = enter(filter, 0)
	}
	w.stack = append(w.stack, top)
	if begun {
		w.resume(after)
	}
	return w
}

// next goes to the next place and returns its value, nil when the place is only
// a node on the way; ok is false at the end. w.path is the text of the place
// until the next call. Each call is one step of bounded cost.
func (w *walker[V]) next() (v *V, ok bool) {
	for len(w.stack) > 0 {
		f := &w.stack[len(w.stack)-1]
		w.path = w.path[:f.end]
		switch f.step {
		case stepOwn:
			f.step = stepMulti
			if f.pos == whole || f.pos > len(w.filter) {
				return f.n.own.Load(), true
			}
			return nil, true
		case stepMulti: // only a Trie has these, and it is walked whole
			f.step = stepPlus
			if v := f.n.multi.Load(); v != nil {
				w.join("#")
				return v, true
			}
		case stepPlus:
			f.step, f.upto = stepLiterals, true
			if c := f.n.plus.Load(); c != nil {
				w.join(c.key)
				w.push(c, whole, stepOwn)
			}
		case stepLiterals:
			c := w.literal(f)
			if c == nil {
				w.stack = w.stack[:len(w.stack)-1]
				continue
			}
			pos, matches := w.advance(c.key, f.pos)
			w.join(c.key)
			if !matches {
				return nil, true
			}
			w.push(c, pos, stepOwn)
		}
	}
	return nil, false
}

// join adds levels below the top of the stack to the path.
func (w *walker[V]) join(levels string) {
	if len(w.stack) > 1 {
		w.path = append(w.path, '/')
	}
	w.path = append(w.path, levels...)
}

// push goes down to c, whose key has been joined.
func (w *walker[V]) push(c *node[V], pos int, s step) {
	w.stack = append(w.stack, frame[V]{n: c, end: len(w.path), pos: pos, step: s})
}

// literal returns the literal child of f's node that comes next and whose first
// level the filter allows, and makes it the one last taken.
func (w *walker[V]) literal(f *frame[V]) *node[V] {
	kids := f.n.kids.Load()
	if kids == nil || f.pos > len(w.filter) {
		return nil
	}
	var c *node[V]
	var hash uint32
	if level, one := w.wanted(f.pos); one {
		hash = w.tree.hash.hash(level)
		o := order(hash, level, f.hash, f.level)
		if o < 0 || o == 0 && !f.upto {
			return nil
		}
		c = kids.find(hash, level)
	} else {
		c, hash = kids.after(f.hash, f.level, f.upto)
	}
	if c != nil {
		f.hash, f.level, f.upto = hash, firstLevel(c.key), false
	}
	return c
}

// wanted returns the one level the filter allows at pos; one is false when it
// allows any.
func (w *walker[V]) wanted(pos int) (level string, one bool) {
	if pos == whole {
		return "", false
	}
	level = firstLevel(w.filter[pos:])
	return level, level != "+"
}

// advance follows the levels of a name's key in the filter from pos.
func (w *walker[V]) advance(key string, pos int) (below int, matches bool) {
	if len(w.stack) == 1 && w.filter != "" && (w.filter[0] == '+' || w.filter[0] == '#') && strings.HasPrefix(key, "$") {
		return 0, false // [v3.1.1 MQTT-4.7.2-1, v5 MQTT-4.7.2-1]
	}
	for pos != whole {
		if pos > len(w.filter) {
			return 0, false
		}
		want, have := firstLevel(w.filter[pos:]), firstLevel(key)
		if want != "+" && want != have {
			return 0, false
		}
		pos = enter(w.filter, pos+len(want)+1)
		if len(have) == len(key) {
			return pos, true
		}
		key = key[len(have)+1:]
	}
	return whole, true
}

// enter is the pos of a frame whose next filter level begins at pos: a/# also
// means a itself, so # counts before there is a level for it.
func enter(filter string, pos int) int {
	if pos < len(filter) && filter[pos:] == "#" {
		return whole
	}
	return pos
}

// resume goes to the place of the text after, which need not be there any more,
// so that next goes behind it.
func (w *walker[V]) resume(after string) {
	for rest, more := after, true; more; {
		f := &w.stack[len(w.stack)-1]
		level := firstLevel(rest)
		var c *node[V]
		switch level {
		case "#":
			f.step = stepPlus
			return
		case "+":
			f.step, f.upto = stepLiterals, true
			c = f.n.plus.Load()
		default:
			f.step = stepLiterals
			f.hash, f.level, f.upto = w.tree.hash.hash(level), level, false
			c = w.tree.literal(f.n, level)
		}
		if c == nil {
			return
		}
		common := commonLevels(c.key, rest)
		if common < len(c.key) { // the place is not at c, nor below it
			switch {
			case !w.behind(c.key, rest, common):
			case level == "+":
				f.step = stepPlus
			default:
				f.upto = true
			}
			return
		}
		pos, matches := w.advance(c.key, f.pos)
		if !matches {
			return
		}
		w.join(c.key)
		w.push(c, pos, stepMulti)
		if more = common < len(rest); more {
			rest = rest[common+1:]
		}
	}
}

// behind reports whether key comes after the place rest among the descendants
// of one node. Their first common bytes are the same levels; key goes on.
func (w *walker[V]) behind(key, rest string, common int) bool {
	if common == len(rest) {
		return true
	}
	k, r := firstLevel(key[common+1:]), firstLevel(rest[common+1:])
	if c := cmp.Compare(rank(k), rank(r)); c != 0 {
		return c > 0
	}
	return order(w.tree.hash.hash(k), k, w.tree.hash.hash(r), r) > 0
}

// rank orders the kinds of levels below one node.
func rank(level string) int {
	switch level {
	case "#":
		return 0
	case "+":
		return 1
	}
	return 2
}

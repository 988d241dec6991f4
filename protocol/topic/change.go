// SPDX-License-Identifier: Apache-2.0

package topic

// upsert replaces the value of filter by f of it; nil means none, before and
// after. f runs under the writer's lock, before anything has been changed, so
// it may panic. filter is not retained.
func (t *tree[V]) upsert(filter string, f func(old *V) *V) {
	levels, below, multi := cutMulti(filter)
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.locate(levels, below)
	if s.more {
		if now := f(nil); now != nil {
			t.grow(s, multi, now)
			t.count.Add(1)
		}
		return
	}
	v := s.at.value(multi)
	old := v.Load()
	now := f(old)
	v.Store(now)
	switch {
	case old == nil && now != nil:
		t.count.Add(1)
	case old != nil && now == nil:
		t.count.Add(-1)
		t.tidy(s)
	}
}

// grow stores v below s.at, where so far nothing has the levels of s.rest. What
// is added is whole before the last line of it makes it visible.
func (t *tree[V]) grow(s spot[V], multi bool, v *V) {
	if s.fork == nil {
		leaf := newNode[V](s.rest)
		leaf.value(multi).Store(v)
		t.attach(s.at, leaf)
		return
	}
	upper := newNode[V](s.fork.key[:s.common])
	t.attach(upper, s.fork.withKey(s.fork.key[s.common+1:]))
	if s.common == len(s.rest) {
		upper.value(multi).Store(v)
	} else {
		leaf := newNode[V](s.rest[s.common+1:])
		leaf.value(multi).Store(v)
		t.attach(upper, leaf)
	}
	t.replace(s.at, upper)
}

// withKey is n with a copy of another key, sharing its children.
func (n *node[V]) withKey(key string) *node[V] {
	c := newNode[V](key)
	c.own.Store(n.own.Load())
	c.multi.Store(n.multi.Load())
	c.plus.Store(n.plus.Load())
	c.kids.Store(n.kids.Load())
	return c
}

// attach makes c a child of p, which has none that begins with the same level.
func (t *tree[V]) attach(p, c *node[V]) {
	if c.begins("+") {
		p.plus.Store(c)
		return
	}
	addTo(&p.kids, t.hash.hash(firstLevel(c.key)), c)
}

// replace puts c in the place of p's child that begins with the same level.
func (t *tree[V]) replace(p, c *node[V]) {
	if c.begins("+") {
		p.plus.Store(c)
		return
	}
	level := firstLevel(c.key)
	p.kids.Load().seek(t.hash.hash(level), level).node.Store(c)
}

// detach removes c from the children of p.
func (t *tree[V]) detach(p, c *node[V]) {
	if c.begins("+") {
		p.plus.Store(nil)
		return
	}
	level := firstLevel(c.key)
	removeFrom(&p.kids, t.hash.hash(level), level, t.stone)
}

// tidy restores the rule that a node has a value or two children, after s.at
// has lost a value. At most one node goes and one pair becomes one.
func (t *tree[V]) tidy(s spot[V]) {
	n := s.at
	if s.parent == nil || !n.empty() {
		return
	}
	switch n.fanout() {
	case 0:
		t.detach(s.parent, n)
		if p := s.parent; s.grand != nil && p.empty() && p.fanout() == 1 {
			t.merge(s.grand, p)
		}
	case 1:
		t.merge(s.parent, n)
	}
}

// fanout counts the children of n.
func (n *node[V]) fanout() (c int) {
	if n.plus.Load() != nil {
		c++
	}
	if kids := n.kids.Load(); kids != nil {
		c += int(kids.live)
	}
	return c
}

// merge makes one node of n, a child of p, and n's only child.
func (t *tree[V]) merge(p, n *node[V]) {
	c := n.plus.Load()
	if c == nil {
		n.kids.Load().each(func(_ uint32, only *node[V]) { c = only })
	}
	t.replace(p, c.withKey(n.key+"/"+c.key))
}

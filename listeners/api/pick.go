// SPDX-License-Identifier: Apache-2.0

package api

import (
	"container/heap"
	"iter"
	"slices"
)

// Pick makes a page of all entries that keep lets through, in the order of less.
// It holds no more entries than lie up to the page's end, however many there
// are: a heap of the best, n·log k. less must be a total order, or entries may
// change their places from page to page.
func Pick[T any](all iter.Seq[T], q Query, keep func(T) bool, less func(a, b T) bool) Page[T] {
	if q.Desc {
		asc := less
		less = func(a, b T) bool { return asc(b, a) }
	}
	best := &worst[T]{less: less}
	p := Page[T]{Page: q.Page, Limit: q.Limit, Items: []T{}}
	end, seen := q.Offset()+q.Limit, 0
	for v := range all {
		if seen == q.Scan {
			p.Truncated = true
			break
		}
		seen++
		if !keep(v) {
			continue
		}
		p.Total++
		switch {
		case len(best.items) < end:
			heap.Push(best, v)
		case less(v, best.items[0]):
			best.items[0] = v
			heap.Fix(best, 0)
		}
	}
	slices.SortFunc(best.items, func(a, b T) int {
		switch {
		case less(a, b):
			return -1
		case less(b, a):
			return 1
		}
		return 0
	})
	if from := q.Offset(); from < len(best.items) {
		p.Items = append(p.Items, best.items[from:]...)
	}
	return p
}

// Convert is a page with its entries made into something else.
func Convert[T, U any](p Page[T], f func(T) U) Page[U] {
	out := Page[U]{Total: p.Total, Page: p.Page, Limit: p.Limit, Truncated: p.Truncated, Items: make([]U, 0, len(p.Items))}
	for _, v := range p.Items {
		out.Items = append(out.Items, f(v))
	}
	return out
}

// worst is a heap with the entry on top that would leave the page first.
type worst[T any] struct {
	items []T
	less  func(a, b T) bool
}

func (w *worst[T]) Len() int           { return len(w.items) }
func (w *worst[T]) Less(i, j int) bool { return w.less(w.items[j], w.items[i]) }
func (w *worst[T]) Swap(i, j int)      { w.items[i], w.items[j] = w.items[j], w.items[i] }
func (w *worst[T]) Push(v any)         { w.items = append(w.items, v.(T)) }
func (w *worst[T]) Pop() any {
	n := len(w.items) - 1
	v := w.items[n]
	w.items = w.items[:n]
	return v
}

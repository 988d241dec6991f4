// SPDX-License-Identifier: Apache-2.0

package router

// Slots is the length of the list that matches on a filter walk.
func Slots(t *Table, filter string) int {
	e := t.trie.Get(filter)
	if e == nil {
		return 0
	}
	return len(e.many.Load().list)
}

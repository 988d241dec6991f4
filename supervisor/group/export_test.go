// SPDX-License-Identifier: Apache-2.0

package group

// HeapLen is the number of heap entries of g.
func HeapLen(g *Group) int { return len(g.heap) }

// SPDX-License-Identifier: Apache-2.0

package config

import "strings"

// suggest returns the candidate nearest to what was written, or "" if none is
// near enough to be meant: a third of its letters may differ.
func suggest(written string, candidates []string) string {
	written = strings.ToLower(strings.ReplaceAll(written, "-", "_"))
	if len(written) > 64 {
		return ""
	}
	best, bestDistance := "", len(written)/3+2
	for _, c := range candidates {
		d := distance(written, c)
		// Half a key is a likely slip too: max_conn for max_connections.
		if len(written) >= 4 && strings.HasPrefix(c, written) {
			d = min(d, 1)
		}
		if d < bestDistance && d < max(len(c), 2) {
			best, bestDistance = c, d
		}
	}
	return best
}

// distance counts the insertions, deletions, replacements and swaps of
// neighbours between two words (optimal string alignment, bytes).
func distance(a, b string) int {
	var older []int
	old := make([]int, len(b)+1)
	for j := range old {
		old[j] = j
	}
	for i := range len(a) {
		row := make([]int, len(b)+1)
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(old[j]+cost, old[j+1]+1, row[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], older[j-1]+1)
			}
		}
		older, old = old, row
	}
	return old[len(b)]
}

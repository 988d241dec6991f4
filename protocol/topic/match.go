// SPDX-License-Identifier: Apache-2.0

package topic

import "strings"

// Match reports whether a valid filter matches a valid name. It is the meaning
// of a filter, level by level; the tables are held to it by their tests.
//
// Names are compared byte by byte, without normalisation [v3.1.1 MQTT-4.7.3-4,
// v5 MQTT-4.7.3-4]: levels may be empty, case and spaces count.
func Match[F, N Text](filter F, name N) bool {
	f, n := view(filter), view(name)
	if f == "" || n == "" {
		return false
	}
	// A wildcard in the first level never means a name that begins with $
	// [v3.1.1 MQTT-4.7.2-1, v5 MQTT-4.7.2-1].
	if n[0] == '$' && (f[0] == '+' || f[0] == '#') {
		return false
	}
	for {
		flevel, frest, fmore := strings.Cut(f, "/")
		if flevel == "#" {
			return true
		}
		nlevel, nrest, nmore := strings.Cut(n, "/")
		if flevel != "+" && flevel != nlevel {
			return false
		}
		switch {
		case !fmore && !nmore:
			return true
		case !nmore: // "sport/#" matches "sport" [v3.1.1 4.7.1.2, v5 4.7.1.2]
			return frest == "#"
		case !fmore:
			return false
		}
		f, n = frest, nrest
	}
}

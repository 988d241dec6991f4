// SPDX-License-Identifier: Apache-2.0

//go:build race

package ws

// The race detector costs a factor of twenty and has nothing to find in a
// comparison on one goroutine.
const defaultStreams = 300

// SPDX-License-Identifier: Apache-2.0

// Package storetest is the contract of the store as tests: Run holds an engine to
// it, with and without the store actor around it. Every engine's own tests call
// it, so that the broker works the same on each.
package storetest

import (
	"testing"

	"emqttd/actors/store"
)

// Run tests the engine that open makes: an empty one for each call.
func Run(t *testing.T, open func() store.Engine) {
	for _, c := range []struct {
		name string
		test func(*testing.T, func() store.Engine)
	}{
		{"an empty engine holds nothing", empty},
		{"a session comes back with all it has", session},
		{"a record that is put again replaces the first", record},
		{"the end of a session erases all of it", end},
		{"a session that ended takes nothing", ended},
		{"one message goes to several sessions, in the order of positions", several},
		{"what is sent leaves the queue and keeps its place", inflight},
		{"what is discarded leaves the queue", discard},
		{"what a lookup has found waits as such", found},
		{"what waits is fetched by its position", fetches},
		{"filters are replaced and removed by their text", filters},
		{"dead letters stay until they are deleted, or their session ends", dead},
		{"the last retained message of a topic counts", retained},
		{"the last position never goes back", last},
		{"a message comes back as it was", whole},
		{"yields stop when they are told to", stop},
		{"a group is answered once, behind those before it", groups},
		{"random histories are what a list of them says", random},
		{"the log gives positions in the order of acceptance", positions},
		{"commits during a write are the next group", slow},
		{"those that were answered together are waited for, but not for long", together},
		{"an early commit is answered before it is written", early},
		{"after a failed write nothing is acknowledged", fails},
		{"a crash of the store actor loses no answer and repeats none", crashes},
		{"a commit that crashes the actor twice is written", poisonCommit},
		{"a write whose end crashes the actor twice is answered", poisonWritten},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, open) })
	}
}

// SPDX-License-Identifier: Apache-2.0

package broker

import "emqttd/actors/store"

// Commit hands the store a commit that nobody waits for.
func (b *Broker) Commit(c *store.Commit) { b.env.Store.Push(c) }

// Stopping is what a shutdown waits for.
func (b *Broker) Stopping() string { return b.root.Stopping() }

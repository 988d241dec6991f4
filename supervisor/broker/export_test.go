// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"emqttd/actors/sm"
	"emqttd/actors/store"
)

// Commit hands the store a commit that nobody waits for.
func (b *Broker) Commit(c *store.Commit) { b.env.Store.Push(c) }

// Stopping is what a shutdown waits for.
func (b *Broker) Stopping() string { return b.root.Stopping() }

// EndSession ends the session of a client id, by an operator.
func (b *Broker) EndSession(clientID string) { sm.Kick(b.env, clientID) }

// Filters is the number of filters with a subscriber.
func (b *Broker) Filters() int { return b.pub.Table.Filters() }

// SPDX-License-Identifier: Apache-2.0

package store

import "emqttd/supervisor/chaos"

// ChaosScope implements chaos.Scoped: the topic of the first message in it, and
// the client of the first session record.
func (c *Commit) ChaosScope() (s chaos.Scope) {
	for i := range c.Ops {
		op := &c.Ops[i]
		if op.Message != nil && s.Topic == "" {
			s.Topic = op.Message.Topic
			s.Client = op.Message.From
		}
		if op.Record != nil {
			s.Client = op.Record.ClientID
		}
	}
	return s
}

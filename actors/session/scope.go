// SPDX-License-Identifier: Apache-2.0

package session

import "emqttd/supervisor/chaos"

// ChaosScope implements chaos.Scoped, for faults that are meant for one client.
// It is called on the session's own group.
func (s *Session) ChaosScope() chaos.Scope {
	scope := chaos.Scope{Client: s.self.ClientID}
	if c := s.state.conn; c != nil {
		scope.Listener = c.Listener.Name
	}
	return scope
}

// SPDX-License-Identifier: Apache-2.0

package protocol

import "emqttd/supervisor/chaos"

// ChaosScope implements chaos.Scoped for the three actors of a connection: the
// client identifier is known from the CONNECT on, before it is read by nobody.
func (m *Memory) ChaosScope() chaos.Scope {
	return chaos.Scope{Client: m.state.clientID, Listener: m.conn.Listener.Name}
}

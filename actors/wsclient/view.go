// SPDX-License-Identifier: Apache-2.0

package wsclient

import "emqttd/actors/cast"

// View is what went through a connection so far, for administration.
type View struct {
	PacketsIn, PacketsOut   int64
	MessagesIn, MessagesOut int64
	Heard                   int64 // when the last whole packet came, nanoseconds since the Unix epoch; 0: none
}

// Look is the view of a connection. It is called on the connection's loop
// (group.Do).
func Look(c *cast.Conn) View {
	m := c.ClientMemory.(*Memory)
	return View{PacketsIn: m.state.packets, PacketsOut: m.packetsOut.Load(), MessagesIn: m.state.messages,
		MessagesOut: m.messagesOut.Load(), Heard: m.state.heard}
}

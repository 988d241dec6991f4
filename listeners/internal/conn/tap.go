// SPDX-License-Identifier: Apache-2.0

package conn

// tapped shows MQTT bytes to who looks at the connection, unless the frames
// around them are shown: those that are compressed are not.
func (c *Conn) tapped(out bool, b []byte) {
	if c.base.Taps() == nil || c.showsFrames() {
		return
	}
	for _, t := range c.base.Taps() {
		t.Bytes(out, false, true, b)
	}
}

// tappedFrames shows frames, before anybody has looked into them. Bytes that are
// written before the actors have the connection are the answer to its upgrade.
func (c *Conn) tappedFrames(out bool, b []byte) {
	if c.base.Taps() == nil || c.layer != inMQTT || !c.showsFrames() {
		return
	}
	for _, t := range c.base.Taps() {
		t.Bytes(out, true, !out || !c.ws.MidFrame(), b)
	}
}

func (c *Conn) showsFrames() bool { return c.ws != nil && !c.ws.Compressed() }

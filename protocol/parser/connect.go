// SPDX-License-Identifier: Apache-2.0

package parser

import "emqttd/protocol/packet"

// Bits of the CONNECT flags [v3.1.1 3.1.2.3, v5 3.1.2.3].
const (
	flagReserved   = 0x01
	flagCleanStart = 0x02
	flagWill       = 0x04
	flagWillQoS    = 0x18
	flagWillRetain = 0x20
	flagPassword   = 0x40
	flagUsername   = 0x80
)

// bridgeLevel is the bit of the protocol level by which a bridge makes itself
// known below 5.0.
const bridgeLevel = 0x80

// connect decodes CONNECT and learns the version from it.
func (d *decoder) connect(h header) *packet.Connect {
	c := new(packet.Connect)
	d.protocol(c)
	flags := d.u8()
	d.checkConnectFlags(flags)
	// The header came before the version was known [v5 MQTT-1.5.5-1].
	if d.version == packet.V5 && !h.minimal() {
		d.fail(packet.FaultVarint)
	}
	c.CleanStart = flags&flagCleanStart != 0
	c.KeepAlive = d.u16()
	c.Properties = d.properties(packet.CONNECT)
	d.checkAuth(c.Properties)
	c.ClientID = d.str()
	if flags&flagWill != 0 {
		c.Will = d.will(flags)
	}
	if flags&flagUsername != 0 && !d.leftOut() {
		c.HasUsername, c.Username = true, d.str()
	}
	// 3.1 calls the password and the will message UTF-8; 3.1.1 and 5.0 call them
	// binary. Nobody reads them as text here, so all versions get binary.
	if flags&flagPassword != 0 && !d.leftOut() {
		c.HasPassword, c.Password = true, d.binary()
	}
	d.end()
	return c
}

// protocol reads name and level. It accepts a level only under the name it was
// published with, and notes the level for the answer to one it does not speak.
func (d *decoder) protocol(c *packet.Connect) {
	name := string(d.field())
	if d.fault != packet.FaultNone {
		return
	}
	d.level = d.u8()
	v := packet.Version(d.level &^ bridgeLevel)
	c.Bridge = d.level&bridgeLevel != 0
	switch {
	case name != packet.V31.Name() && name != packet.V311.Name():
		d.fail(packet.FaultProtocolName) // [v3.1.1 MQTT-3.1.2-1, v5 MQTT-3.1.2-1]
	case !v.Valid() || v.Name() != name || c.Bridge && v == packet.V5:
		d.fail(packet.FaultProtocolVersion) // [v3.1.1 MQTT-3.1.2-2, v5 MQTT-3.1.2-2]
	default:
		c.Version, d.version = v, v
	}
}

// checkConnectFlags applies the rules of the version. 3.1 leaves bit 0 unused
// and has the will bits ignored when there is no will (MQTT 3.1, section 3.1).
func (d *decoder) checkConnectFlags(flags byte) {
	if d.fault != packet.FaultNone {
		return
	}
	will, willQoS := flags&flagWill != 0, flags&flagWillQoS>>3
	lax := d.version == packet.V31
	switch {
	case flags&flagReserved != 0 && !lax:
		d.fail(packet.FaultConnectFlags) // [v3.1.1 MQTT-3.1.2-3, v5 MQTT-3.1.2-3]
	case will && willQoS == 3:
		d.fail(packet.FaultWillFlags) // [v3.1.1 MQTT-3.1.2-14, v5 MQTT-3.1.2-12]
	case !will && flags&(flagWillQoS|flagWillRetain) != 0 && !lax:
		d.fail(packet.FaultWillFlags) // [v3.1.1 MQTT-3.1.2-13 -15, v5 MQTT-3.1.2-11 -13]
	case flags&flagPassword != 0 && flags&flagUsername == 0 && d.version != packet.V5:
		d.fail(packet.FaultConnectFlags) // [v3.1.1 MQTT-3.1.2-22]; 5.0 allows it [v5 3.1.2.9]
	}
}

func (d *decoder) will(flags byte) *packet.Will {
	w := &packet.Will{QoS: packet.QoS(flags & flagWillQoS >> 3), Retain: flags&flagWillRetain != 0}
	w.Properties = d.properties(packet.WillPlace)
	w.Topic = d.str()
	w.Payload = d.binary()
	return w
}

// leftOut reports whether a 3.1 CONNECT ends where its flags promise a user
// name or password. 3.1 lets the remaining length win over the flags, for the
// sake of version 3 clients (MQTT 3.1, section 3.1).
func (d *decoder) leftOut() bool {
	return d.version == packet.V31 && len(d.b) == 0 && d.fault == packet.FaultNone
}

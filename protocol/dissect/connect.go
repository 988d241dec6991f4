// SPDX-License-Identifier: Apache-2.0

package dissect

import (
	"fmt"

	"emqttd/protocol/packet"
)

// connect is CONNECT, from which the version is learnt.
func (c *cursor) connect() {
	name := c.field("protocol name", Text)
	c.level(string(name))
	flags, _ := c.flags("connect flags", Bit{Mask: 0x80, Name: "user name"}, Bit{Mask: 0x40, Name: "password"},
		Bit{Mask: 0x20, Name: "will retain"}, Bit{Mask: 0x18, Name: "will qos"}, Bit{Mask: 0x04, Name: "will"},
		Bit{Mask: 0x02, Name: c.cleanName()}, Bit{Mask: 0x01, Name: "reserved"})
	c.noted("keep alive", 2, keepAliveNote)
	c.properties(packet.CONNECT)
	c.group = Payload
	c.field("client identifier", Text)
	if flags&0x04 != 0 {
		c.propertiesOf(packet.WillPlace, WillProperties)
		c.field("will topic", Text)
		c.field("will message", Data)
	}
	if flags&0x80 != 0 && !c.leftOut() {
		c.field("user name", Text)
	}
	if flags&0x40 != 0 && !c.leftOut() {
		c.field("password", Secret)
	}
}

// level is the protocol level; its high bit says, below 5.0, that a bridge
// speaks. Whatever is neither 3 nor 5 is laid out as 3.1.1.
func (c *cursor) level(name string) {
	v, f := c.number("protocol level", 1)
	if f == nil {
		return
	}
	c.version = packet.Version(v &^ 0x80)
	f.Note = "MQTT " + c.version.String()
	switch {
	case !c.version.Valid():
		f.Note = "no version of MQTT"
		c.version = packet.V311
	case c.version.Name() != name:
		f.Note += fmt.Sprintf(", which is called %s", c.version.Name())
	case v&0x80 != 0:
		f.Note += ", from a bridge"
	}
}

// leftOut: 3.1 lets the remaining length win over the flags (MQTT 3.1, section
// 3.1).
func (c *cursor) leftOut() bool { return c.version == packet.V31 && c.left() == 0 }

func (c *cursor) cleanName() string {
	if c.version == packet.V5 {
		return "clean start"
	}
	return "clean session"
}

func keepAliveNote(v uint32) string {
	if v == 0 {
		return "off"
	}
	return fmt.Sprintf("seconds; silence of more than %v is the end", float64(v)*1.5)
}

func (c *cursor) subscribe() {
	c.id()
	c.properties(packet.SUBSCRIBE)
	c.group = Payload
	for c.left() > 0 {
		c.field("topic filter", Text)
		if c.version == packet.V5 {
			c.flags("subscription options", Bit{Mask: 0xc0, Name: "reserved"}, Bit{Mask: 0x30, Name: "retain handling"},
				Bit{Mask: 0x08, Name: "retain as published"}, Bit{Mask: 0x04, Name: "no local"}, Bit{Mask: 0x03, Name: "maximum qos"})
		} else {
			c.flags("requested qos", Bit{Mask: 0xfc, Name: "reserved"}, Bit{Mask: 0x03, Name: "qos"})
		}
	}
}

func (c *cursor) unsubscribe() {
	c.id()
	c.properties(packet.UNSUBSCRIBE)
	c.group = Payload
	for c.left() > 0 {
		c.field("topic filter", Text)
	}
}

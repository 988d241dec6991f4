// SPDX-License-Identifier: Apache-2.0

package serializer

import (
	"encoding/binary"

	"emqttd/protocol/packet"
)

func measureConnect(c *packet.Connect, v packet.Version) (l layout, err error) {
	switch {
	case c.Version != 0 && c.Version != v:
		return l, invalid(packet.CONNECT, "is of version "+c.Version.String()+", not "+v.String())
	case c.Bridge && v == packet.V5:
		return l, invalid(packet.CONNECT, "5.0 has no bridge bit")
	case c.HasPassword && !c.HasUsername && v != packet.V5:
		return l, invalid(packet.CONNECT, "password without user name") // [v3.1.1 MQTT-3.1.2-22]
	case len(c.ClientID) > maxField || len(c.Username) > maxField || len(c.Password) > maxField:
		return l, invalid(packet.CONNECT, "string too long")
	}
	l.remaining = 2 + len(v.Name()) + 1 + 1 + 2 + 2 + len(c.ClientID)
	if v == packet.V5 {
		if l.props, err = measureProperties(c.Properties, packet.CONNECT); err != nil {
			return l, err
		}
		l.remaining += propertiesSize(l.props, v)
	}
	if c.Will != nil {
		if err = measureWill(c.Will, v, &l); err != nil {
			return l, err
		}
	}
	if c.HasUsername {
		l.remaining += 2 + len(c.Username)
	}
	if c.HasPassword {
		l.remaining += 2 + len(c.Password)
	}
	return l, nil
}

func measureWill(w *packet.Will, v packet.Version, l *layout) (err error) {
	switch {
	case w.QoS > packet.QoS2:
		return invalid(packet.CONNECT, "will qos 3") // [v3.1.1 MQTT-3.1.2-14, v5 MQTT-3.1.2-12]
	case len(w.Topic) > maxField || len(w.Payload) > maxField:
		return invalid(packet.CONNECT, "will too long")
	}
	if v == packet.V5 {
		if l.willProps, err = measureProperties(w.Properties, packet.WillPlace); err != nil {
			return err
		}
	}
	l.remaining += propertiesSize(l.willProps, v) + 2 + len(w.Topic) + 2 + len(w.Payload)
	return nil
}

func appendConnect(dst []byte, c *packet.Connect, v packet.Version, l layout) []byte {
	dst = appendField(dst, v.Name())
	level := byte(v)
	if c.Bridge {
		level |= 0x80
	}
	dst = append(dst, level, connectFlags(c))
	dst = binary.BigEndian.AppendUint16(dst, c.KeepAlive)
	if v == packet.V5 {
		dst = appendProperties(dst, c.Properties, l.props)
	}
	dst = appendField(dst, c.ClientID)
	if w := c.Will; w != nil {
		if v == packet.V5 {
			dst = appendProperties(dst, w.Properties, l.willProps)
		}
		dst = appendField(dst, w.Topic)
		dst = appendField(dst, w.Payload)
	}
	if c.HasUsername {
		dst = appendField(dst, c.Username)
	}
	if c.HasPassword {
		dst = appendField(dst, c.Password)
	}
	return dst
}

// connectFlags are the CONNECT flags [v3.1.1 3.1.2.3, v5 3.1.2.3].
func connectFlags(c *packet.Connect) (b byte) {
	set := func(on bool, bit byte) {
		if on {
			b |= bit
		}
	}
	set(c.CleanStart, 0x02)
	if c.Will != nil {
		b |= 0x04 | byte(c.Will.QoS)<<3
		set(c.Will.Retain, 0x20)
	}
	set(c.HasPassword, 0x40)
	set(c.HasUsername, 0x80)
	return b
}

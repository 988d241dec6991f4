// SPDX-License-Identifier: Apache-2.0

package parser

import "emqttd/protocol/packet"

// publish decodes PUBLISH into p. Topic and Payload alias the body.
func (d *decoder) publish(flags byte, p *packet.Publish) *packet.Publish {
	p.Dup = flags&0x08 != 0
	p.QoS = packet.QoS(flags >> 1 & 3)
	p.Retain = flags&0x01 != 0
	p.Topic = d.text()
	if p.QoS > packet.QoS0 {
		p.ID = d.id()
	}
	if d.version == packet.V5 {
		p.Properties = d.properties(packet.PUBLISH)
		if len(p.Topic) == 0 && !p.Properties.Has(packet.PropTopicAlias) {
			d.fail(packet.FaultTopicMissing) // [v5 3.3.2.1]
		}
	}
	p.Payload = d.b
	return p
}

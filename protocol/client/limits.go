// SPDX-License-Identifier: Apache-2.0

package client

import (
	"errors"
	"fmt"
	"time"

	"emqttd/protocol/packet"
)

// Limits are what the server said in CONNACK that it can do, with the
// standard's defaults for what it did not say [v5 3.2.2.3]. Before 5.0 all are
// the defaults.
type Limits struct {
	ReceiveMaximum          int
	MaximumPacketSize       uint32 // bytes; 0: no limit
	TopicAliasMaximum       uint16
	MaximumQoS              packet.QoS
	RetainAvailable         bool
	WildcardAvailable       bool
	SubscriptionIDAvailable bool
	SharedAvailable         bool
	KeepAlive               time.Duration
	SessionExpiry           uint32 // seconds
}

func limitsOf(c *packet.Connect, a *packet.Connack) Limits {
	l := Limits{
		ReceiveMaximum: 65535, MaximumQoS: packet.QoS2, RetainAvailable: true, WildcardAvailable: true,
		SubscriptionIDAvailable: true, SharedAvailable: true, KeepAlive: time.Duration(c.KeepAlive) * time.Second,
	}
	if c.Properties.Has(packet.PropSessionExpiry) {
		l.SessionExpiry = c.Properties.SessionExpiry
	}
	p := a.Properties
	if p.Empty() {
		return l
	}
	if p.Has(packet.PropReceiveMaximum) {
		l.ReceiveMaximum = int(p.ReceiveMaximum)
	}
	if p.Has(packet.PropMaximumQoS) {
		l.MaximumQoS = packet.QoS(p.MaximumQoS)
	}
	if p.Has(packet.PropServerKeepAlive) { // [v5 MQTT-3.2.2-21]
		l.KeepAlive = time.Duration(p.ServerKeepAlive) * time.Second
	}
	if p.Has(packet.PropSessionExpiry) {
		l.SessionExpiry = p.SessionExpiry
	}
	l.MaximumPacketSize = p.MaximumPacketSize
	l.TopicAliasMaximum = p.TopicAliasMaximum
	l.RetainAvailable = !p.Has(packet.PropRetainAvailable) || p.RetainAvailable == 1
	l.WildcardAvailable = !p.Has(packet.PropWildcardAvailable) || p.WildcardAvailable == 1
	l.SubscriptionIDAvailable = !p.Has(packet.PropSubscriptionIDAvailable) || p.SubscriptionIDAvailable == 1
	l.SharedAvailable = !p.Has(packet.PropSharedAvailable) || p.SharedAvailable == 1
	return l
}

// check says why the server would not take p, as the reason code it would give.
func (l *Limits) check(p *packet.Publish) error {
	switch {
	case p.QoS > l.MaximumQoS: // [v5 MQTT-3.2.2-11]
		return fmt.Errorf("client: publish: %w", packet.QoSNotSupported)
	case p.Retain && !l.RetainAvailable: // [v5 MQTT-3.2.2-14]
		return fmt.Errorf("client: publish: %w", packet.RetainNotSupported)
	case p.Properties.Has(packet.PropTopicAlias) && (p.Properties.TopicAlias == 0 || p.Properties.TopicAlias > l.TopicAliasMaximum):
		return fmt.Errorf("client: publish: %w", packet.TopicAliasInvalid) // [v5 MQTT-3.2.2-17]
	}
	return nil
}

// codeOf is the reason code that err carries, if any.
func codeOf(err error) (packet.ReasonCode, bool) {
	if code, ok := errors.AsType[packet.ReasonCode](err); ok {
		return code, true
	}
	return 0, false
}

// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"emqttd/actors/cast"
	"emqttd/protocol/topic"
	"emqttd/supervisor/broker/config"
)

// limitsOf is the part of the configuration that the actors obey.
func limitsOf(c *config.Config) *cast.Limits {
	m, s := &c.MQTT, &c.Session
	return &cast.Limits{
		MaxPacketSize: int(m.MaxPacketSize), MaxClientID: m.MaxClientID,
		Topics:     topic.Limits{Length: m.MaxTopicLength, Levels: m.MaxTopicLevels},
		MatchSteps: m.MatchSteps, MaxFilters: m.MaxFiltersPerSubscribe, MaxSubscriptions: m.MaxSubscriptions,
		MaxUserProperties: m.MaxUserProperties, MaxPropertiesSize: int(m.MaxPacketSize), MaxQoS: uint8(m.MaxQoS),
		Retain: m.RetainAvailable, Wildcard: m.WildcardSubscriptions, Shared: m.SharedSubscriptions,
		SubscriptionIDs: m.SubscriptionIdentifiers, SharedStrategy: string(m.SharedStrategy),
		MaxKeepAlive: m.MaxKeepAlive, KeepAliveFactor: m.KeepAliveFactor,
		AliasIn: m.TopicAliasMaximum, AliasOut: m.TopicAliasOut, ReceiveMaximum: m.ReceiveMaximum,
		ConnectTimeout: m.ConnectTimeout, OutHigh: int64(m.OutBufferHigh), OutLow: int64(m.OutBufferLow),
		StrictV31ClientID: m.V31StrictClientID,
		RateMessages:      m.Rate.Messages, RateMessagesBurst: m.Rate.MessagesBurst,
		RateBytes: int64(m.Rate.Bytes), RateBytesBurst: int64(m.Rate.BytesBurst),
		MaxSessions: s.MaxSessions, MaxExpiry: s.MaxExpiry, V3Expiry: s.V3Expiry, MaxWillDelay: s.MaxWillDelay,
		MaxInflight: s.MaxInflight, MaxQueued: s.MaxQueuedMessages, MaxQueuedBytes: int(s.MaxQueuedBytes),
		QueueWindow: s.QueueWindow, QueueQoS0: s.QueueQoS0, MaxAwaitingRel: s.MaxAwaitingRel,
		MaxDead: s.MaxDeadLetters, MaxDeadBytes: int(s.MaxDeadLetterBytes),
		RetainedCount: c.Retained.MaxCount, RetainedPayload: int(c.Retained.MaxPayload),
		RetainedExpiry: c.Retained.Expiry, RetainedBatch: c.Retained.Batch,
		DeliveriesPerTurn: m.DeliveriesPerTurn, HexBytes: c.Log.HexBytes, StoreBytes: int64(c.Store.MaxBytes),
		PoisonCount: c.Ban.PoisonCount, PoisonWindow: c.Ban.PoisonWindow, PoisonBan: c.Ban.PoisonBan,
	}
}

// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"slices"
	"strings"
)

// scenarios is the table of what can be played, with the defaults of each.
// Publishers and subscribers are spread over topics by one rule (topicOf):
// that alone makes pairs, a fan-out or a fan-in of them.
var scenarios []scenario

func init() { // play refers to functions that look into the table
	scenarios = []scenario{
		{"p2p", "publishers and subscribers in pairs", Config{Publishers: 4, Subscribers: 4, Window: 200}, (*run).playTraffic},
		{"fanout", "one publisher, many subscribers", Config{Publishers: 1, Subscribers: 500, Window: 20}, (*run).playTraffic},
		{"fanin", "many publishers, one subscriber", Config{Publishers: 100, Subscribers: 1, Window: 10, QoS: 1}, (*run).playTraffic},
		{"shared", "a shared subscription of several members", Config{Publishers: 4, Subscribers: 8, Window: 100, QoS: 1}, (*run).playShared},
		{"route", "one of many wildcard filters fits each message", Config{Publishers: 4, Subscribers: 10, Window: 100, Filters: 1000}, (*run).playRoute},
		{"latency", "open loop: messages are due at fixed times", Config{Publishers: 5, Subscribers: 5, Window: 65_535, Rate: 5000}, (*run).playLatency},
		{"idle", "connections that do nothing: memory", Config{Connections: 10_000}, (*run).playIdle},
		{"churn", "connect and disconnect", Config{Connections: 32}, (*run).playChurn},
		{"offline", "queue for a client that is away, then drain", Config{Publishers: 4, Subscribers: 1, Window: 100, QoS: 1, Messages: 100_000}, (*run).playOffline},
		{"durable", "publishes for sessions that are away, until they are acknowledged", Config{Publishers: 64, Window: 1, QoS: 1}, (*run).playDurable},
		{"retained", "one wildcard subscriber and many retained messages", Config{Publishers: 1, Subscribers: 1, Window: 100, QoS: 1, Messages: 20_000}, (*run).playRetained},
	}
}

func find(name string) *scenario {
	i := slices.IndexFunc(scenarios, func(s scenario) bool { return s.name == name })
	if i < 0 {
		return nil
	}
	return &scenarios[i]
}

// Names are the scenarios, separated by commas.
func Names() string {
	names := make([]string, len(scenarios))
	for i, s := range scenarios {
		names[i] = s.name
	}
	return strings.Join(names, ", ")
}

// Help says what each scenario does, a line each.
func Help() string {
	var b strings.Builder
	for _, s := range scenarios {
		b.WriteString("  " + s.name + strings.Repeat(" ", 10-len(s.name)) + s.what + "\n")
	}
	return b.String()
}

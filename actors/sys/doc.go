// SPDX-License-Identifier: Apache-2.0

// Package sys publishes what the broker says about itself under $SYS. It is
// emqttd_broker, emqttd_stats, emqttd_metrics and emqttd_mod_presence, which were
// four processes with a timer each; here one actor reads all figures in one
// decision, so that a report is of one moment.
//
// Five kinds of topics, all QoS 0:
//
//	$SYS/brokers                            the nodes, retained
//	$SYS/brokers/NODE/version, sysdescr     retained
//	$SYS/brokers/NODE/chaos                 retained while chaos.enabled: {"enabled":true,"faults":2,"hits":13}
//	$SYS/brokers/NODE/uptime, datetime      with every report
//	$SYS/brokers/NODE/stats/..., metrics/.. decimal numbers, with every report
//	$SYS/brokers/NODE/clients/ID/connected  presence, as it happens; also .../disconnected
//	$SYS/brokers/NODE/alarms/ID/alert       as it happens; also .../clear
//	$SYS/broker/...                         Mosquitto's names, retained
//
// Where it differs from emqttd: uptime and datetime come with the report and not
// every second, since a timer that wakes an idle broker 86 400 times a day tells
// its readers nothing that their own clock does not. The first report comes at
// the start, not an interval after it. What is retained is published again only
// when it has changed, as Mosquitto does, so that a durable store is not written
// to for nothing; a switch that is turned off takes its retained messages away.
// A message that nobody has subscribed to is not made, and not counted as
// dropped: an idle broker would otherwise report fifty losses a minute.
//
// Presence: a client id may hold any character, a topic level may not. In the
// topic, '/', '+', '#', '%' and control characters of the id stand as %2F and so
// on, as in a URL; the JSON has the id as it is. An id so long that its topic
// would exceed the broker's own limit is not announced.
//
// Supervised one_for_one, permanent. A crash loses nothing: settings, highest
// values and averages are the cell's, and so is the timer. A presence message
// that is poison is lost; a report that is poison is left out and the next one
// comes in time.
package sys

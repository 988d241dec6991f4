// SPDX-License-Identifier: Apache-2.0

// Package openmetrics is /metrics: the counters of a broker in the text format of
// Prometheus and OpenMetrics.
//
// Names are emqttd_*_total, _seconds and _bytes. A label has a fixed set of
// values (a reason, a packet type, an actor kind), never a client id or a topic:
// what clients can choose must not grow the number of series. Counters of which
// most values never occur (faults, refusals) appear with their first occurrence.
//
// It reads at the moment of the scrape what the broker counts anyway, so nothing
// runs between scrapes. emqttd published its figures under $SYS only; the same
// ones are here under other names.
//
// 2026-11: the exposition is prometheus/client_golang's, which the storage engine
// links in any case. It keeps what is easy to get wrong (escaping, content
// negotiation, duplicate series) and brings the go_ and process_ metrics that
// every dashboard knows.
package openmetrics

// SPDX-License-Identifier: Apache-2.0

// Package bench is the load generator behind `emqtt bench`: it plays a scenario
// against any MQTT broker, verifies every delivery and says what the broker
// took for it.
//
// One goroutine runs everything: an event loop (loop.go) over a driver that
// moves bytes. On Linux the driver of TCP and plain WebSocket is epoll with raw
// system calls (epoll_linux.go); TLS, and other systems, have a goroutine per
// direction (pipes.go). Nothing is allocated per message: a publisher patches
// sequence number, time and packet identifier into one finished PUBLISH, a
// subscriber reads them from where they stand in the read buffer.
//
// Closed loop: a publisher has at most Window messages that have not come back
// from all their subscribers, so no broker is fed faster than it delivers and
// none is credited with what it drops. Open loop (latency): messages are due at
// fixed instants, and their latency counts from the instant they were due, not
// from when they could be sent; a broker that pauses is charged for everybody
// who waited (coordinated omission).
//
// CPU is what the broker's process used between two instants divided by what
// was delivered between them; the generator's own is beside it, so that one can
// see that it is not what was measured.
//
// Reading order: config.go (what can be asked for), scenarios.go, traffic.go
// (the phases of a run), publisher.go, verify.go; below them loop.go, conn.go
// and the drivers; relay.go is the floor, compare.go plays several brokers,
// growth.go and plot.go show what costs do as something grows.
package bench

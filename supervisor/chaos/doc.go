// SPDX-License-Identifier: Apache-2.0

// Package chaos makes actors crash on purpose, and tells whether any client
// noticed.
//
// emqttd was tested by its users: what happened when one of its processes died
// was found out in production. Here a crash is data that can be written on one
// line, and the promise that it costs nobody anything is a function that reads a
// history.
//
// The hammer. A Fault says where (actor kind, message type, phase of decide,
// commit, perform), what, when, for whom and how often:
//
//	at=ws_loop/data/decide do=panic when=nth:3 scope=client:demo-* ttl=30s
//
// The same line is chaos.At("ws_loop/data/decide").Panic().Nth(3).Client("demo-*").Within(30*time.Second)
// in Go, and a mapping of the same keys in YAML and JSON. An Injector arms
// faults; while none is armed it is not installed, and a message costs one nil
// check at each phase.
//
// The oracle. A Checker is given what real clients did and saw (Event) and
// keeps the contract: nothing acknowledged is lost, QoS 2 arrives once, order
// holds, a death has one will, retained is what was acknowledged last, a session
// is present if and only if it was kept, SUBACK means subscribed, a client
// identifier has one owner, and nobody is disconnected by somebody else's crash.
// Run drives a seeded workload against any broker and checks it.
//
// Reading order: fault.go, grammar.go, injector.go; event.go, check.go and the
// check_*.go, one clause each; plan.go, device.go, run.go; cookbook.go.
//
// The package ranks just above supervisor: it knows actors and messages by name
// only.
package chaos

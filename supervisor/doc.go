// SPDX-License-Identifier: Apache-2.0

// Package supervisor says who restarts whom, in what order, and how to make it
// crash.
//
// It is emqttd's supervision tree on protoactor-go: the tree, PIDs, restarts and
// stops are protoactor's, the queue and the state of each actor are its cell's
// (package cell), and the strategies here are OTP's: one_for_one, one_for_all,
// rest_for_one and simple_one_for_one with restart intensity, permanent,
// transient and temporary children, shutdown in the reverse order of start.
//
// Where emqttd's tree was one_for_all at the root, so that the death of
// emqttd_alarm took every connection with it, the root here is one_for_one, and
// children are looked up by cell, so that no restart holds a PID of the past.
package supervisor

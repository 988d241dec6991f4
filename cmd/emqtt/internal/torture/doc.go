// SPDX-License-Identifier: Apache-2.0

// Package torture kills a broker in the middle of its work, again and again, and
// counts what it had acknowledged and does not have any more.
//
// A round: publishers send numbered messages of QoS 1 and 2, and retained ones;
// subscribers with sessions that are kept are away or there; at a moment that
// the seed chooses the broker's process group gets SIGKILL; it is started again;
// the publishers finish what was not acknowledged, as the standard has it, and
// the subscribers fetch what is theirs. Whatever a publisher was told was taken
// has to arrive: QoS 1 at least once, QoS 2 once, in the publisher's order.
//
// The broker is a child of this process, on loopback: nothing else is touched.
// A kill keeps what the operating system has been given, so a broker that never
// syncs can pass; the number of flushes of the machine's disks is told beside.
package torture

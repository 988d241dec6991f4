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
// 2026-11: a simple_one_for_one gives the protoactor actors of children that have
// ended in order to those that it starts next, 256 of them at most: a connection
// that comes and goes allocates 42 objects and 4.5 KB instead of 77 and 6.7.
//
// Shutdown stops a tree as OTP does: in the reverse order of start, each child
// within its own time, those of a simple_one_for_one together; a child handles what
// is in its mailbox first, and one whose time is over is killed and named. What
// crashes or is stopped meanwhile is repaired, for it may be needed by those that
// stop before it.
//
// A crash is repaired at once. An incarnation that can not even be made
// (cell.Kind.New panics) is tried again after 10 ms, 20 ms, ... 5 s, for as long
// as it takes; its mailbox waits, and Down names it, so that the broker is not
// ready. That counts against no intensity. The owner of a connection's actor is
// told at the first such failure and closes the connection.
//
// # What protoactor-go does, and what is done about it
//
// Eighteen faults of version 0.0.0-20240822 were found by running it or by
// reading it. Each is met by a test that fails without the repair, or can not
// happen; source means TestNothingOfProtoActorIsUsedThatLosesMessages in
// supervisor/broker, which reads the source of the whole module.
//
//	 1 a stop drops what is queued            the queue is the cell's: TestStopOfAnActorIsRepairedAndItsMailboxKept
//	 2 a panic in Stopping resurrects         stages never see the lifecycle: TestStagesNeverSeeTheLifecycle
//	 3 a panic in Stopped wedges the parent   the same
//	 4 a Goexit wedges the mailbox            own mailbox: cell.TestAMessageIsTriedTwiceAndIsPoisonThen/goexit
//	 5 a guardian that escalates ends         ours restarts or gives up: TestTheRootIsNotStoppedByItsOwnCrashes
//	   the process
//	 6 a Resume above leaves it suspended     nothing resumes: source
//	 7 Stash reorders, loses, spins           not used, a cell.Queue is: source
//	 8 exponential back-off is linear         own: TestAServiceWhoseIncarnationsCanNotBeMadeIsTriedEverLater
//	 9 RestartStatistics grow for ever        not used, own window: TestRestartIntensity
//	10 the second of a name is refused        serial in each name: TestChildrenMayHaveOneName
//	11 Shutdown stops nobody                  own: TestShutdownStopsTheChildrenInReverse; source
//	12 ReceiveTimeout is a data race          not used, group.Timer is: source
//	13 a root actor is stopped after ten      own guardian: TestTheRootIsNotStoppedByItsOwnCrashes
//	14 messages between Stopping and Stopped  incarnations share the cell: TestStopOfTheSupervisorIsRepaired
//	15 EventStream runs on the sender         nobody subscribes: source
//	16 each panic is logged at info           log level: TestACrashIsOneLineInTheLog
//	17 a poison pill drops what is behind it  it is a stop: TestAPoisonPillLosesNothing
//	18 metrics allocate per message           no provider is set: source, cell.TestADecisionAllocatesNothing
package supervisor

// SPDX-License-Identifier: Apache-2.0

// Package conn is the event loop: it owns sockets, buffers and descriptors, and
// drives the group in which the actors of its connections run. It takes the
// place of esockd's connection processes and of the BEAM's port drivers, and is
// part of the trusted core.
//
// A turn reads each ready socket into one buffer that all connections of the
// loop share, takes proxy header, TLS and WebSocket off, pushes what is left as
// one Data to the connection's ws_loop actor, and runs the group until nobody has
// anything to do: the buffer is free again. At its end each connection that has
// something to say is written once. So a connection owns no read buffer, no
// goroutine, and no out-buffer while it is idle.
//
// A loop whose goroutine is stuck in an actor's code is given to another one (see
// Replace): nothing of a loop but its read buffers belongs to its goroutine.
//
// On Linux the loop waits on an epoll set of its own (see epoll for how), with an
// eventfd for other threads and a timerfd for its timers. Elsewhere, and for
// in-memory connections, each socket has a reading and a writing goroutine that
// hand their bytes to the same loop (portable.go).
package conn

// SPDX-License-Identifier: Apache-2.0

// Package client is an MQTT client over any net.Conn, for 3.1, 3.1.1 and 5.0.
// The checker, the tests, the command line tools and the bridge speak through
// it. emqttd took emqttc for this; here the client shares the broker's codec,
// and tests of the codec therefore never rest on this package alone.
//
// It has two layers:
//
//   - Conn sends and receives one packet at a time, in the caller's goroutine,
//     and shows each with its bytes to a tap. It knows nothing of sessions and
//     breaks every rule it is told to break.
//   - Client keeps the rules: CONNECT with enhanced authentication, publishing
//     with a window, exactly-once receiving, keep alive, topic aliases, the
//     server's limits, a session that outlives its connections.
//
// # Goroutines of a Client
//
// A connected Client runs a reader, a writer and, when it has a Handler, a
// dispatcher. Connect starts them, and they have all ended when Done is closed.
//
//	caller --Publish--> session --encode--> out (bounded) --writer--> net.Conn
//	Handler <--dispatcher-- events (bounded) <--reader-- net.Conn
//
// Packets are encoded under the client's one mutex, which gives their order,
// and written in batches by the writer. Nothing that can wait (the network, a
// handler, a callback) is called under the mutex.
//
// Reading order: conn.go, config.go, client.go (Connect to Close), link.go (one
// connection), publish.go, incoming.go.
package client

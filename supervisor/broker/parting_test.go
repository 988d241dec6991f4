// SPDX-License-Identifier: Apache-2.0

package broker_test

import (
	"context"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"emqttd/actors/store"
	"emqttd/actors/store/memory"
	"emqttd/protocol/packet"
)

// TestAClientMayCloseRightBehindItsLastWord: CONNECT, PUBLISH and DISCONNECT leave
// in one go, and the client closes its side (close_notify, a close frame, FIN)
// while the CONNECT waits for the disk. What it said counts, over every transport
// and on both engines.
func TestAClientMayCloseRightBehindItsLastWord(t *testing.T) {
	ca := newAuthority(t)
	dir := t.TempDir()
	cert, key := ca.files(dir, "127.0.0.1")
	for _, engine := range []string{"epoll", "goroutine"} {
		t.Run(engine, func(t *testing.T) {
			d := onDisk(t, memory.New(), append([]string{"runtime.engine=" + engine, "listeners.ws.default.bind=127.0.0.1:0",
				"listeners.tcp.unix={bind: \"unix:" + dir + "/" + engine + ".sock\"}",
				"listeners.tcp.v1={bind: \"127.0.0.1:0\", proxy_protocol: v1}", "listeners.tcp.v2={bind: \"127.0.0.1:0\", proxy_protocol: v2}",
				"listeners.tls.default={bind: \"127.0.0.1:0\", tls: {cert_file: " + cert + ", key_file: " + key + "}}",
				"listeners.wss.default={bind: \"127.0.0.1:0\", tls: {cert_file: " + cert + ", key_file: " + key + "}}"}, userSettings...)...)
			ears := join(t, d.Broker, clean(packet.V5, "ears"))
			ears.subscribe(packet.QoS1, "#")
			for _, way := range waysIn(d.Broker, ca.config()) {
				t.Run(way.name, func(t *testing.T) {
					ctx, cancel := context.WithTimeout(context.Background(), patience)
					defer cancel()
					nc, err := way.dial(ctx)
					require.NoError(t, err)
					d.hold()
					c := kept(packet.V311, "hasty "+way.name)
					c.Will = &packet.Will{Topic: "will", Payload: []byte("must not be published")}
					_, err = nc.Write(slices.Concat(encode(t, c), encodeAs(t, packet.V311, pub(packet.QoS0, 0, "t", "zero "+way.name)),
						encodeAs(t, packet.V311, pub(packet.QoS1, 1, "t", "one "+way.name)), encodeAs(t, packet.V311, &packet.Disconnect{})))
					require.NoError(t, err)
					require.NoError(t, nc.Close())
					d.sees(store.PutSession)
					d.settle() // what can be read of the end is
					d.gate.Release()
					ears.hears("t", "zero "+way.name)
					ears.hears("t", "one "+way.name)
				})
			}
			ears.leave()
			d.eye.leave()
			settled(t, d.Broker)
		})
	}
}

// SPDX-License-Identifier: Apache-2.0

package broker_test

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/rs/zerolog"

	"emqttd/protocol/client"
	"emqttd/protocol/packet"
	"emqttd/supervisor/broker"
	"emqttd/supervisor/broker/config"
)

// A broker inside another program, with publish and subscribe that need no
// network.
func Example() {
	cfg, _, err := config.Load(config.Sources{Sets: []string{"listeners.tcp.default.bind=127.0.0.1:0", "dashboard.bind=", "listeners.ws.default.bind=", "store.engine=memory"}})
	if err != nil {
		panic(err)
	}
	b, err := broker.Start(cfg, zerolog.Nop())
	if err != nil {
		panic(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	got := make(chan *client.Message, 1)
	stop, err := b.Subscribe(ctx, "room/+/temperature", packet.QoS1, func(m *client.Message) { got <- m })
	if err != nil {
		panic(err)
	}
	if err := b.Publish(ctx, &client.Message{Topic: "room/4/temperature", Payload: []byte("21.5"), QoS: packet.QoS1}); err != nil {
		panic(err)
	}
	m := <-got
	fmt.Println(m.Topic, string(m.Payload))
	stop()
	fmt.Println(b.Shutdown(ctx))
	// Output:
	// room/4/temperature 21.5
	// <nil>
}

// The walk of one PUBLISH with QoS 1 from socket to socket: what each actor
// handles, in order. The acknowledgement leaves while the message is on its way.
// Nobody hibernates, or waking them would be part of the walk.
func Example_walk() {
	cfg, _, err := config.Load(config.Sources{Sets: []string{"listeners.tcp.default.bind=127.0.0.1:0", "dashboard.bind=", "listeners.ws.default.bind=", "runtime.loops=1", "runtime.hibernate_after=0s", "store.engine=memory"}})
	if err != nil {
		panic(err)
	}
	b, err := broker.Start(cfg, zerolog.Nop())
	if err != nil {
		panic(err)
	}
	defer b.Close()
	sub, pub := dial(b, "sub"), dial(b, "pub")
	exchange(sub, &packet.Subscribe{ID: 1, Subscriptions: []packet.Subscription{{Filter: "a/#"}}})
	hops := new(broker.Hops)
	hops.Record()
	exchange(pub, &packet.Publish{Topic: []byte("a/b"), Payload: []byte("hello"), QoS: packet.QoS1, ID: 1})
	if _, err := sub.Receive(context.Background()); err != nil {
		panic(err)
	}
	for _, line := range hops.Stop() {
		fmt.Println(line)
	}
	// Output:
	// ws_loop    Data       14 bytes from the socket
	// ws_client  Received   1 packet(s)
	// protocol   Received   1 packet(s)
	// session    Dispatch   1 message(s) for a/#
	// ws_client  Send       PUBACK to the socket
	// ws_client  Deliver    1 PUBLISH to the socket
}

// dial connects a client that speaks packet by packet.
func dial(b *broker.Broker, id string) *client.Conn {
	nc, err := net.Dial("tcp", b.Addr("listeners.tcp.default").String())
	if err != nil {
		panic(err)
	}
	c := client.New(nc, client.Options{Version: packet.V311})
	exchange(c, &packet.Connect{Version: packet.V311, ClientID: id, CleanStart: true})
	return c
}

// exchange sends a packet and waits for the answer.
func exchange(c *client.Conn, p packet.Packet) {
	if err := c.Send(p); err != nil {
		panic(err)
	}
	if _, err := c.Receive(context.Background()); err != nil {
		panic(err)
	}
}

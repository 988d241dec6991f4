// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"
	"fmt"
	"net"

	"emqttd/actors/access"
	"emqttd/actors/cast"
	"emqttd/actors/protocol"
	"emqttd/listeners"
	"emqttd/protocol/client"
	"emqttd/protocol/packet"
)

// makeLocal makes the listener of the process itself: it has no socket, and who
// can call Dial needs no password.
func (b *Broker) makeLocal() error {
	p := &port{core: &listeners.Listener{Base: &cast.Listener{Name: "local", Transport: "local", Loopback: true, AllowAnonymous: true}}}
	p.core.Data = p
	p.core.Terms.Store(&listeners.Terms{})
	p.core.Attach(b.loops)
	chain, err := access.NewChain(&access.Anonymous{AcceptCredentials: true})
	if err != nil {
		return fmt.Errorf("local listener: %w", err)
	}
	g := b.gates.Load()
	p.gate.Store(&protocol.Gate{Chain: chain, Enhanced: access.NewEnhanced(), Bans: g.bans, Pool: g.pool, Poisonings: g.poisonings})
	b.local = p
	return nil
}

// Dial opens a connection to the broker inside the process: a net.Conn on which
// to speak MQTT. It takes the way of every other connection, through the same
// actors, but asks for no password and no rule stops it.
func (b *Broker) Dial(context.Context) (net.Conn, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil, net.ErrClosed
	}
	near, far := net.Pipe()
	b.local.core.ServeConn(far)
	return near, nil
}

// Publish publishes m from inside the process and waits until the broker has
// taken it, as far as its QoS says.
func (b *Broker) Publish(ctx context.Context, m *client.Message) error {
	_, err := b.publish(ctx, m)
	return err
}

func (b *Broker) publish(ctx context.Context, m *client.Message) (client.Result, error) {
	c, err := b.local5(ctx)
	if err != nil {
		return client.Result{}, err
	}
	r, err := c.Publish(ctx, m)
	if err != nil {
		_ = c.Close()
		return r, err
	}
	return r, c.Disconnect(ctx, nil)
}

// local5 is an MQTT 5 client of the process, connected.
func (b *Broker) local5(ctx context.Context) (*client.Client, error) {
	c, err := client.NewClient(client.Config{Dial: b.Dial, Connect: packet.Connect{Version: packet.V5, CleanStart: true}})
	if err != nil {
		return nil, err
	}
	if _, err := c.Connect(ctx); err != nil {
		return nil, err
	}
	return c, nil
}

// Subscribe calls handler, in order and on one goroutine, for every message that
// filter matches, until stop is called. When Subscribe returns the subscription
// is effective.
func (b *Broker) Subscribe(ctx context.Context, filter string, qos packet.QoS, handler func(*client.Message)) (stop func(), err error) {
	c, err := client.NewClient(client.Config{Dial: b.Dial, Handler: handler, Connect: packet.Connect{Version: packet.V5, CleanStart: true}})
	if err != nil {
		return nil, err
	}
	if _, err := c.Connect(ctx); err != nil {
		return nil, err
	}
	ack, err := c.Subscribe(ctx, nil, packet.Subscription{Filter: filter, QoS: qos})
	if err == nil && ack.Codes[0].Failed() {
		err = fmt.Errorf("broker: subscribe %s: %w", filter, ack.Codes[0])
	}
	if err != nil {
		_ = c.Close()
		return nil, err
	}
	return func() { _ = c.Disconnect(context.Background(), nil) }, nil
}

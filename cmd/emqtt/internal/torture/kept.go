// SPDX-License-Identifier: Apache-2.0

package torture

import (
	"fmt"

	"emqttd/protocol/client"
	"emqttd/protocol/packet"
)

// lookUp asks for the retained messages and compares them with what was
// acknowledged last.
func (r *run) lookUp(round int) error {
	found := map[string]uint32{}
	heard := make(chan struct{}, 1)
	want := r.tally.retained()
	c := newClient(client.Config{Dial: r.dial, Connect: r.connect(fmt.Sprint("look-", round), true), Handler: func(m *client.Message) {
		if _, seq, ok := number(m.Payload); ok {
			found[m.Topic] = seq
		}
		if len(found) == len(want) {
			select {
			case heard <- struct{}{}:
			default:
			}
		}
	}})
	if _, err := c.Connect(r.ctx); err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	if _, err := c.Subscribe(r.ctx, nil, packet.Subscription{Filter: r.prefix + "/r/#", QoS: packet.QoS1}); err != nil {
		return fmt.Errorf("subscribe: %w", err)
	}
	if len(want) > 0 {
		await(r.ctx, heard, quiet)
	}
	_ = c.Close() // it never fails
	<-c.Done()    // and with it the handler
	r.tally.keeps(want, found)
	return nil
}

// mourn connects a client with a will whose connection the kill will end. What
// it returns waits for the will and counts it when it does not come.
func (r *run) mourn(round int) (func(), error) {
	name := fmt.Sprintf("%s/w/%d", r.prefix, round)
	conf := client.Config{Dial: r.dial, Connect: r.connect(fmt.Sprint("mortal-", round), false)}
	conf.Connect.Will = &packet.Will{Topic: name, Payload: []byte("dead"), QoS: packet.QoS1}
	mortal := newClient(conf)
	heard := make(chan struct{}, 16)
	heir := newClient(client.Config{Dial: r.dial, Connect: r.connect(fmt.Sprint("heir-", round), false), Reconnect: retry,
		Handler: func(*client.Message) { heard <- struct{}{} }})
	if _, err := heir.Connect(r.ctx); err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	if _, err := heir.Subscribe(r.ctx, nil, packet.Subscription{Filter: name, QoS: packet.QoS1}); err != nil {
		return nil, fmt.Errorf("subscribe: %w", err)
	}
	if _, err := mortal.Connect(r.ctx); err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	return func() {
		if !await(r.ctx, heard, willPatience) {
			r.tally.willsMissing++
		}
		_ = heir.Close()
		<-heir.Done()
		_ = mortal.Close()
		<-mortal.Done()
	}, nil
}

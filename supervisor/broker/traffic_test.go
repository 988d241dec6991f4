// SPDX-License-Identifier: Apache-2.0

package broker_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"emqttd/listeners/ws"
	"emqttd/protocol/client"
	"emqttd/protocol/packet"
	"emqttd/supervisor/broker/brokertest"
)

// traffic is what that must go on whatever else happens: pairs of clients of
// all versions and ways in, each pair with messages of every QoS. It fails the
// test if a message is lost, doubled or out of order.
func traffic(t testing.TB, b *brokertest.Broker, pairs, messages int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 6*patience)
	defer cancel()
	var all sync.WaitGroup
	errs := make(chan error, pairs)
	for i := range pairs {
		all.Go(func() { errs <- pair(ctx, b, i, messages) })
	}
	all.Wait()
	close(errs)
	for err := range errs {
		require.NoError(t, err)
	}
}

// way is the address of pair i, and the version it speaks.
func way(b *brokertest.Broker, i int) (func(context.Context) (net.Conn, error), packet.Version) {
	versions := []packet.Version{packet.V5, packet.V311, packet.V5, packet.V31}
	if i%2 == 0 {
		return client.TCP(b.TCP()), versions[i/2%4]
	}
	return func(ctx context.Context) (net.Conn, error) { return ws.Dial(ctx, b.WS(), nil, nil) }, versions[i/2%4]
}

// pair is a publisher and a subscriber.
func pair(ctx context.Context, b *brokertest.Broker, i, messages int) (err error) {
	dial, version := way(b, i)
	topic := fmt.Sprint("exchange/", i)
	in := newInbox(messages)
	sub, err := client.NewClient(client.Config{Dial: dial, Connect: *clean(version, fmt.Sprint("sub", i)), Handler: in.take})
	if err != nil {
		return err
	}
	pub, err := client.NewClient(client.Config{Dial: dial, Connect: *clean(version, fmt.Sprint("pub", i))})
	if err != nil {
		return err
	}
	if _, err := sub.Connect(ctx); err != nil {
		return fmt.Errorf("pair %d: connect: %w", i, err)
	}
	defer func() { err = errors.Join(err, sub.Disconnect(ctx, nil)) }()
	if _, err := pub.Connect(ctx); err != nil {
		return fmt.Errorf("pair %d: connect: %w", i, err)
	}
	defer func() { err = errors.Join(err, pub.Disconnect(ctx, nil)) }()
	if _, err := sub.Subscribe(ctx, nil, packet.Subscription{Filter: topic + "/+", QoS: 2}); err != nil {
		return fmt.Errorf("pair %d: subscribe: %w", i, err)
	}
	results := make(chan error, 3*messages)
	for n := range messages {
		for qos := range packet.QoS(3) {
			m := &client.Message{Topic: topic + "/" + strconv.Itoa(int(qos)), Payload: []byte(strconv.Itoa(n)), QoS: qos}
			if err := pub.PublishAsync(ctx, m, func(r client.Result) { results <- r.Err }); err != nil {
				return fmt.Errorf("pair %d: publish: %w", i, err)
			}
		}
	}
	for range 3 * messages {
		select {
		case err := <-results:
			if err != nil {
				return fmt.Errorf("pair %d: publish: %w", i, err)
			}
		case <-ctx.Done():
			return fmt.Errorf("pair %d: no answer to a publish: %w", i, ctx.Err())
		}
	}
	if err := in.wait(ctx); err != nil {
		return fmt.Errorf("pair %d: %w", i, err)
	}
	return nil
}

// inbox takes messages 0, 1, 2, ... of each QoS.
type inbox struct {
	mu   sync.Mutex
	next [3]int
	max  int
	err  error
	done chan struct{}
}

func newInbox(messages int) *inbox { return &inbox{max: messages, done: make(chan struct{})} }

func (in *inbox) take(m *client.Message) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if want := strconv.Itoa(in.next[m.QoS]); string(m.Payload) != want && in.err == nil {
		in.err = fmt.Errorf("%s: message %s where %s was to come", m.Topic, m.Payload, want)
	}
	in.next[m.QoS]++
	if in.next == [3]int{in.max, in.max, in.max} {
		close(in.done)
	}
}

func (in *inbox) wait(ctx context.Context) error {
	var err error
	select {
	case <-in.done:
	case <-ctx.Done():
		err = ctx.Err()
	case <-time.After(2 * patience):
		err = errors.New("messages are missing")
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	if err != nil {
		err = fmt.Errorf("%w: %v of %d messages came", err, in.next, in.max)
	}
	return errors.Join(err, in.err)
}

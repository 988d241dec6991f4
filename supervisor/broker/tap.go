// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"
	"net/netip"
	"net/url"
	"slices"
	"time"

	"emqttd/actors/cast"
	"emqttd/actors/metrics"
	"emqttd/actors/wsloop"
	"emqttd/listeners/microscope"
	"emqttd/supervisor/broker/config"
	"emqttd/supervisor/cell"
)

// tap shows the microscope the bytes of one client.
type tap struct {
	conn *cast.Conn
	see  func(*microscope.Chunk)
}

// Tap implements microscope.Taps. A connection that nobody taps pays one look at
// an empty list for each read and write.
func (b *Broker) Tap(ctx context.Context, client string, see func(*microscope.Chunk)) (*microscope.Tapped, error) {
	c, ok := b.directory.Client(client)
	if !ok {
		return nil, microscope.ErrNoClient
	}
	t := &tap{c.Conn, see}
	if err := t.change(ctx, func(all []cast.Tap) []cast.Tap { return append(all, t) }); err != nil {
		return nil, err
	}
	out := &microscope.Tapped{URL: b.urlOf(c.Conn.Listener), Peer: unmapped(c.Peer), Version: c.Version, Stop: t.stop}
	out.Watch = func(see func(time.Time, *microscope.Hop)) func() {
		w := &watch{peer: out.Peer, see: see}
		w.session.Store(c.Session)
		return b.watches.add(w)
	}
	out.Here, _ = netip.ParseAddrPort(out.URL.Host)
	return out, nil
}

// change sets who taps the connection, on its loop.
func (t *tap) change(ctx context.Context, f func([]cast.Tap) []cast.Tap) error {
	return onGroups(ctx, []*cell.Cell{&t.conn.Client}, func(int) { t.conn.SetTaps(f(t.conn.Taps())) })
}

// stopTime bounds the wait for the connection's loop.
const stopTime = 5 * time.Second

func (t *tap) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), stopTime)
	defer cancel()
	// Where that fails, the loop is gone and the connection with it.
	_ = t.change(ctx, func(all []cast.Tap) []cast.Tap {
		all = slices.DeleteFunc(slices.Clone(all), func(other cast.Tap) bool { return other == t })
		if len(all) == 0 {
			return nil
		}
		return all
	})
}

// Bytes implements cast.Tap. What the client sends begins with a packet where the
// parser has nothing left of the one before.
func (t *tap) Bytes(out, frames, whole bool, b []byte) {
	if out && whole {
		_, buffered, _ := wsloop.Continuation(t.conn)
		whole = buffered == 0 && !t.conn.Loop.Waits()
	}
	t.see(&microscope.Chunk{Out: out, Frames: frames, Fresh: whole, Bytes: b})
}

// Closed implements cast.Tap.
func (t *tap) Closed(reason metrics.Close) { t.see(&microscope.Chunk{Closed: reason.String()}) }

// urlOf is where the clients of a listener connect.
func (b *Broker) urlOf(l *cast.Listener) url.URL {
	u := url.URL{Scheme: map[string]string{string(config.TCP): "mqtt", string(config.TLS): "mqtts"}[l.Transport]}
	for _, p := range b.ports {
		if p.core == nil || p.core.Base.Name != l.Name {
			continue
		}
		if addr := b.Addr(p.key); addr != nil {
			u.Host = addr.String()
		}
		if u.Scheme == "" {
			u.Scheme, u.Path = l.Transport, "/mqtt"
			if len(p.named.Paths) > 0 {
				u.Path = p.named.Paths[0]
			}
		}
	}
	return u
}

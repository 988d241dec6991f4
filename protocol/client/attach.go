// SPDX-License-Identifier: Apache-2.0

package client

import "emqttd/protocol/packet"

// attach makes l the client's connection and lets the session go on: publishes
// and PUBRELs not acknowledged are sent again, in order
// [v3.1.1 MQTT-4.4.0-1, v5 MQTT-4.4.0-1].
func (c *Client) attach(r *run, l *link) {
	c.mu.Lock()
	if p := l.connack.Properties; p.Has(packet.PropAssignedClientID) { // [v5 MQTT-3.2.2-16]
		c.id = p.AssignedClientID
	}
	var fin completions
	var err error
	// 3.1 has no session present flag: a session not thrown away is there.
	if l.connack.SessionPresent || l.version == packet.V31 && !c.cfg.Connect.CleanStart {
		c.sess.requeue()
		err = l.resendReleases(&c.sess)
	} else {
		var gone []*flight
		gone, err = c.sess.forget()
		for _, f := range gone {
			fin.add(c.land(f, Result{Err: ErrSessionLost}))
		}
	}
	c.link = l
	fin = append(fin, c.pump(l)...)
	stopped := r.stopped
	c.mu.Unlock()
	fin.call()
	c.tell(r, event{up: l.connack})
	switch {
	case stopped:
		l.fail(ErrClosed)
	case err != nil:
		l.fail(err)
	}
}

// resendReleases sends every PUBREL again. They take quota like the PUBLISH
// they stand for: the standard would let us send more, a server may count
// otherwise.
func (l *link) resendReleases(s *session) error {
	for f := s.released.head; f != nil; f = f.next {
		if err := l.append(&packet.Ack{Kind: packet.PUBREL, ID: f.packet.ID}); err != nil {
			return err
		}
		l.quota--
	}
	return nil
}

// detach ends what lives no longer than a connection.
func (c *Client) detach(l *link) {
	c.mu.Lock()
	c.link = nil
	var fin completions
	for id, q := range l.requests {
		delete(c.sess.busy, id)
		fin = append(fin, func() { q.done(nil, l.err) })
	}
	clear(l.requests)
	if l.reauth != nil {
		l.reauth <- l.err // capacity 1, and nobody else sends once it is down
		l.reauth = nil
	}
	c.mu.Unlock()
	fin.call()
}

// abandon completes every publish with err; they stay in the session and are
// sent again after the next Connect.
func (c *Client) abandon(err error) (fin completions) {
	for _, l := range []*flights{&c.sess.queued, &c.sess.sent, &c.sess.released} {
		for f, next := l.head, (*flight)(nil); f != nil; f = next {
			next = f.next
			if f.done != nil {
				done := f.done
				f.done = nil
				fin = append(fin, func() { done(Result{Err: err}) })
			}
			if !f.wasSent { // the server never saw it, and its publisher knows now
				f.leave()
				delete(c.sess.busy, f.packet.ID)
				c.slot.leave()
			}
		}
	}
	return fin
}

// completions are callbacks to be called once the mutex is free.
type completions []func()

func (f *completions) add(done func()) {
	if done != nil {
		*f = append(*f, done)
	}
}

func (f completions) call() {
	for _, done := range f {
		done()
	}
}

// received handles one packet, in the reader's goroutine. An error ends the
// connection.
func (c *Client) received(l *link, p packet.Packet) error {
	c.mu.Lock()
	l.heard()
	c.mu.Unlock()
	switch m := p.(type) {
	case *packet.Publish:
		return c.receivedPublish(l, m)
	case *packet.Ack:
		return c.receivedAck(l, m)
	case *packet.Suback:
		return c.answered(l, m.ID, m)
	case *packet.Unsuback:
		return c.answered(l, m.ID, m)
	case *packet.Pingresp:
		c.mu.Lock()
		l.pong()
		c.mu.Unlock()
		return nil
	case *packet.Disconnect:
		return &DisconnectError{Disconnect: m}
	case *packet.Auth:
		return c.receivedAuth(l, m)
	}
	return &ProtocolError{Fault: packet.FaultSecondConnect, Type: p.Type()} // a second CONNACK
}

// SPDX-License-Identifier: Apache-2.0

package client

import "emqttd/protocol/packet"

// session is the client's half of the session state [v3.1.1 4.1, v5 4.1]. It
// outlives connections; the Client's mutex guards it.
type session struct {
	queued   flights // not sent on this connection, in the order of Publish
	sent     flights // PUBLISH sent on this connection, in that order
	released flights // QoS 2: PUBREC received, in that order, PUBREL sent

	busy    map[packet.ID]any // *flight or *request: identifiers in use; len <= 65 535
	last    packet.ID
	inbound map[packet.ID]*inbound // server -> client, QoS 2, from PUBLISH until PUBREL
	store   Store
}

// inbound is a QoS 2 message between its PUBLISH and its PUBREL.
type inbound struct {
	id    packet.ID
	acked bool  // the handler is done with it
	link  *link // the connection that has seen its PUBLISH, nil after a reload
}

func newSession(store Store) session {
	return session{busy: make(map[packet.ID]any), inbound: make(map[packet.ID]*inbound), store: store}
}

// load fills an empty session from its store.
func (s *session) load() (flightsLoaded int, err error) {
	if s.store == nil {
		return 0, nil
	}
	records, err := s.store.Load()
	if err != nil {
		return 0, err
	}
	for _, r := range records {
		switch r.State {
		case Received:
			s.inbound[r.ID] = &inbound{id: r.ID, acked: true}
			continue
		case Released:
			f := &flight{packet: packet.Publish{ID: r.ID, QoS: packet.QoS2}, wasSent: true}
			s.busy[r.ID] = f
			s.released.pushBack(f)
		default:
			f := &flight{packet: *r.Publish, wasSent: true}
			s.busy[r.ID] = f
			s.queued.pushBack(f)
		}
		flightsLoaded++
	}
	return flightsLoaded, nil
}

func (s *session) put(r Record) error {
	if s.store == nil {
		return nil
	}
	return s.store.Put(r)
}

func (s *session) remove(direction Direction, id packet.ID) error {
	if s.store == nil {
		return nil
	}
	return s.store.Delete(direction, id)
}

// newID takes a free packet identifier, 0 when there is none
// [v3.1.1 MQTT-2.3.1-2, v5 MQTT-2.2.1-3].
func (s *session) newID(user any) packet.ID {
	if len(s.busy) >= 65535 {
		return 0
	}
	for {
		s.last++
		if s.last == 0 {
			continue
		}
		if _, taken := s.busy[s.last]; !taken {
			s.busy[s.last] = user
			return s.last
		}
	}
}

// requeue prepares for a new connection of the same session: what was sent and
// not acknowledged goes first, in its order [v3.1.1 MQTT-4.4.0-1 MQTT-4.6.0-1,
// v5 MQTT-4.4.0-1 MQTT-4.6.0-1].
func (s *session) requeue() {
	s.sent.takeAll(&s.queued)
	s.queued, s.sent = s.sent, flights{}
	for f := s.queued.head; f != nil; f = f.next {
		f.list = &s.queued
	}
}

// forget drops what the server has forgotten and returns it; publishes that
// never left stay queued [v5 MQTT-3.2.2-5].
func (s *session) forget() (gone []*flight, err error) {
	s.requeue()
	for _, l := range []*flights{&s.queued, &s.released} {
		for f, next := l.head, (*flight)(nil); f != nil; f = next {
			next = f.next
			if f.wasSent {
				f.leave()
				delete(s.busy, f.packet.ID)
				gone = append(gone, f)
				err = firstError(err, s.remove(Outgoing, f.packet.ID))
			}
		}
	}
	for id := range s.inbound {
		err = firstError(err, s.remove(Incoming, id))
	}
	clear(s.inbound)
	return gone, err
}

func firstError(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

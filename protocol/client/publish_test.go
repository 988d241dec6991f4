// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"emqttd/protocol/packet"
)

func TestPublish(t *testing.T) {
	t.Run("returns when the server has taken the message", func(t *testing.T) {
		eachVersion(t, func(t *testing.T, version packet.Version) {
			c, s, _ := connected(t, Config{Connect: v(version)}, nil)
			scripted := make(chan struct{})
			go func() {
				defer close(scripted)
				s.wants(publish(0, 0, "t", "zero"))
				s.wants(publish(1, 1, "t", "one"))
				s.sends(ack(packet.PUBACK, 1))
				s.wants(publish(2, 2, "t", "two"))
				s.sends(ack(packet.PUBREC, 2))
				s.wants(ack(packet.PUBREL, 2))
				s.sends(ack(packet.PUBCOMP, 2))
			}()
			for qos, payload := range []string{"zero", "one", "two"} {
				r, err := c.Publish(t.Context(), &Message{Topic: "t", Payload: []byte(payload), QoS: packet.QoS(qos)})
				require.NoError(t, err)
				require.Equal(t, packet.Success, r.Code)
			}
			<-scripted
			require.Empty(t, c.sess.busy)
			require.Equal(t, 1024, c.slot.free)
			ends(t, c, s)
		})
	})

	for _, e := range []struct {
		name   string
		qos    packet.QoS
		answer *packet.Ack
		want   packet.ReasonCode
		ok     bool
	}{
		{"puback with a failure is an error", 1, ackCode(packet.PUBACK, 1, packet.QuotaExceeded), packet.QuotaExceeded, false},
		{"puback without subscribers is none", 1, ackCode(packet.PUBACK, 1, packet.NoMatchingSubscribers), packet.NoMatchingSubscribers, true},
		{"pubrec with a failure ends the exchange [v5 MQTT-4.3.3-4]", 2, ackCode(packet.PUBREC, 1, packet.NotAuthorized), packet.NotAuthorized, false},
	} {
		t.Run(e.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				c, s, _ := connected(t, Config{Connect: v(packet.V5)}, nil)
				go func() { s.receive(); s.sends(e.answer) }()
				r, err := c.Publish(t.Context(), &Message{Topic: "t", QoS: e.qos})
				require.Equal(t, e.want, r.Code)
				require.Equal(t, e.ok, err == nil)
				if !e.ok {
					require.ErrorIs(t, err, e.want)
				}
				require.Empty(t, c.sess.busy)
				ends(t, c, s)
			})
		})
	}

	for _, e := range []struct {
		name string
		msg  Message
		want error
	}{
		{"no topic", Message{}, packet.FaultTopicMissing},
		{"qos 3", Message{Topic: "t", QoS: 3}, packet.FaultQoS3},
		{"qos above the server's maximum [v5 MQTT-3.2.2-11]", Message{Topic: "t", QoS: 2}, packet.QoSNotSupported},
		{"retain where it is not available [v5 MQTT-3.2.2-14]", Message{Topic: "t", Retain: true}, packet.RetainNotSupported},
		{"larger than the server's maximum [v5 MQTT-3.2.2-15]", Message{Topic: "t", Payload: make([]byte, 200)}, packet.PacketTooLarge},
		{"larger than the server's maximum, qos 1", Message{Topic: "t", QoS: 1, Payload: make([]byte, 200)}, packet.PacketTooLarge},
		{"an alias above the server's maximum [v5 MQTT-3.2.2-17]", Message{Topic: "t", Properties: props(alias(4))}, packet.TopicAliasInvalid},
	} {
		t.Run(e.name+" is refused here", func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				a := props(maximumPacketSize(100), aliasMaximum(3))
				a.Set(packet.PropMaximumQoS).MaximumQoS = 1
				a.Set(packet.PropRetainAvailable)
				c, s, _ := connected(t, Config{Connect: v(packet.V5)}, &packet.Connack{Properties: a})
				_, err := c.Publish(t.Context(), &e.msg)
				require.ErrorIs(t, err, e.want)
				require.Equal(t, 1024, c.slot.free)
				ends(t, c, s)
			})
		})
	}

	t.Run("no more on the wire than the server's Receive Maximum [v5 MQTT-3.3.4-7]", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			c, s, _ := connected(t, Config{Connect: v(packet.V5)}, &packet.Connack{Properties: props(receiveMaximum(2))})
			got := make(results, 4)
			for _, qos := range []packet.QoS{1, 2, 1, 1} {
				require.NoError(t, c.PublishAsync(t.Context(), &Message{Topic: "t", QoS: qos}, got.add))
			}
			s.wants(publish(1, 1, "t", ""))
			s.wants(publish(2, 2, "t", ""))
			synctest.Wait()
			require.NotNil(t, c.sess.queued.head, "the third waits")
			s.sends(ack(packet.PUBREC, 2)) // frees nothing
			s.wants(ack(packet.PUBREL, 2))
			s.sends(ack(packet.PUBCOMP, 2))
			s.wants(publish(1, 3, "t", ""))
			s.sends(ackCode(packet.PUBACK, 1, packet.UnspecifiedError)) // frees as well
			s.wants(publish(1, 4, "t", ""))
			s.sends(ack(packet.PUBACK, 3), ack(packet.PUBACK, 4))
			for range 4 {
				<-got
			}
			ends(t, c, s)
		})
	})

	t.Run("the window is full: the publisher waits its turn or gives up", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			c, s, _ := connected(t, Config{Connect: v(packet.V311), Window: 1}, nil)
			got := make(results, 3)
			require.NoError(t, c.PublishAsync(t.Context(), &Message{Topic: "a", QoS: 1}, got.add))
			s.wants(publish(1, 1, "a", ""))
			ctx, cancel := context.WithCancel(t.Context())
			gaveUp := make(chan error)
			go func() { gaveUp <- c.PublishAsync(ctx, &Message{Topic: "b", QoS: 1}, got.add) }()
			synctest.Wait()
			third := make(chan error)
			go func() { third <- c.PublishAsync(t.Context(), &Message{Topic: "c", QoS: 1}, got.add) }()
			synctest.Wait()
			cancel()
			require.ErrorIs(t, <-gaveUp, context.Canceled)
			s.sends(ack(packet.PUBACK, 1))
			s.wants(publish(1, 2, "c", ""))
			require.NoError(t, <-third)
			s.sends(ack(packet.PUBACK, 2))
			require.NoError(t, (<-got).Err)
			require.NoError(t, (<-got).Err)
			require.Equal(t, 1, c.slot.free)
			ends(t, c, s)
		})
	})

	t.Run("the output is full: QoS 0 waits for room, gives up, or ends with the connection", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			c, s, _ := connected(t, Config{Connect: v(packet.V311), OutBytes: 10}, nil)
			big := &Message{Topic: "t", Payload: []byte(strings.Repeat("x", 20))}
			require.NoError(t, c.PublishAsync(t.Context(), big, nil))
			synctest.Wait() // the writer holds it
			require.NoError(t, c.PublishAsync(t.Context(), big, nil))
			ctx, cancel := context.WithCancel(t.Context())
			gaveUp, wrote, ended := make(chan error), make(chan error), make(chan error)
			go func() { gaveUp <- c.PublishAsync(ctx, big, nil) }()
			synctest.Wait()
			cancel()
			require.ErrorIs(t, <-gaveUp, context.Canceled)
			go func() { wrote <- c.PublishAsync(t.Context(), big, nil) }()
			synctest.Wait()
			s.receive()
			require.NoError(t, <-wrote)
			go func() { ended <- c.PublishAsync(t.Context(), big, nil) }()
			synctest.Wait()
			require.NoError(t, c.Close())
			require.ErrorIs(t, <-ended, ErrClosed)
			ends(t, c, s)
		})
	})

	t.Run("the caller gives up, the exchange goes on", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			c, s, _ := connected(t, Config{Connect: v(packet.V311)}, nil)
			ctx, cancel := context.WithCancel(t.Context())
			gaveUp := make(chan error)
			go func() {
				_, err := c.Publish(ctx, &Message{Topic: "t", QoS: 2})
				gaveUp <- err
			}()
			s.wants(publish(2, 1, "t", ""))
			cancel()
			require.ErrorIs(t, <-gaveUp, context.Canceled)
			s.sends(ack(packet.PUBREC, 1))
			s.wants(ack(packet.PUBREL, 1))
			s.sends(ack(packet.PUBCOMP, 1))
			synctest.Wait()
			require.Empty(t, c.sess.busy)
			ends(t, c, s)
		})
	})

	t.Run("acknowledgements that do not fit", func(t *testing.T) {
		for _, e := range []struct {
			name  string
			qos   packet.QoS
			wrong *packet.Ack
		}{
			{"puback for qos 2", 2, ack(packet.PUBACK, 1)},
			{"pubrec for qos 1", 1, ack(packet.PUBREC, 1)},
			{"pubcomp before pubrec", 2, ack(packet.PUBCOMP, 1)},
		} {
			t.Run(e.name+" end the connection", func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					c, s, _ := connected(t, Config{Connect: v(packet.V5)}, nil)
					require.NoError(t, c.PublishAsync(t.Context(), &Message{Topic: "t", QoS: e.qos}, nil))
					s.receive()
					s.sends(e.wrong)
					s.wants(&packet.Disconnect{Code: packet.ProtocolError})
					s.wantsClose()
					require.ErrorIs(t, c.Wait(), packet.FaultPacketIDUnknown)
				})
			})
		}
		t.Run("of nobody are answered as the standard says", func(t *testing.T) {
			eachVersion(t, func(t *testing.T, version packet.Version) {
				c, s, _ := connected(t, Config{Connect: v(version)}, nil)
				unknown := packet.Success
				if version == packet.V5 {
					unknown = packet.PacketIDNotFound
				}
				s.sends(ack(packet.PUBACK, 9), ack(packet.PUBCOMP, 9), ack(packet.PUBREC, 9))
				s.wants(ackCode(packet.PUBREL, 9, unknown))
				s.sends(ack(packet.PUBREL, 9))
				s.wants(ackCode(packet.PUBCOMP, 9, unknown))
				ends(t, c, s)
			})
		})
	})

	t.Run("identifiers go round and never collide", func(t *testing.T) {
		s := newSession(nil)
		s.last = 65534
		s.busy[1] = &flight{}
		require.Equal(t, packet.ID(65535), s.newID(nil))
		require.Equal(t, packet.ID(2), s.newID(nil), "0 is none and 1 is taken")
		for range 65535 - 3 {
			require.NotZero(t, s.newID(nil))
		}
		require.Zero(t, s.newID(nil), "all are in use")
	})
}

func TestResend(t *testing.T) {
	t.Run("what was not acknowledged is sent again, in order, with DUP; PUBREL first", func(t *testing.T) {
		eachVersion(t, func(t *testing.T, version packet.Version) {
			c, s, n := connected(t, Config{Connect: persistent(version), Reconnect: &Backoff{}}, nil)
			got := make(results, 4)
			for _, e := range []struct {
				qos     packet.QoS
				payload string
			}{{1, "a"}, {2, "b"}, {2, "c"}, {1, "d"}} {
				require.NoError(t, c.PublishAsync(t.Context(), &Message{Topic: "t", QoS: e.qos, Payload: []byte(e.payload)}, got.add))
			}
			for range 4 {
				s.receive()
			}
			s.sends(ack(packet.PUBREC, 2))
			s.wants(ack(packet.PUBREL, 2))
			require.NoError(t, s.Close())

			s = n.accept()
			s.greets(&packet.Connack{SessionPresent: true})
			s.wants(ack(packet.PUBREL, 2))
			s.wants(dup(publish(1, 1, "t", "a")))
			s.wants(dup(publish(2, 3, "t", "c")))
			s.wants(dup(publish(1, 4, "t", "d")))
			s.sends(ack(packet.PUBACK, 1), ack(packet.PUBCOMP, 2), ack(packet.PUBREC, 3))
			s.wants(ack(packet.PUBREL, 3))
			s.sends(ack(packet.PUBCOMP, 3), ack(packet.PUBACK, 4))
			for range 4 {
				require.NoError(t, (<-got).Err)
			}
			ends(t, c, s)
		})
	})

	t.Run("a smaller Receive Maximum than before is respected", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			c, s, n := connected(t, Config{Connect: persistent(packet.V5), Reconnect: &Backoff{}}, nil)
			for range 3 {
				require.NoError(t, c.PublishAsync(t.Context(), &Message{Topic: "t", QoS: 1}, nil))
				s.receive()
			}
			require.NoError(t, s.Close())
			s = n.accept()
			s.greets(&packet.Connack{SessionPresent: true, Properties: props(receiveMaximum(1))})
			for id := packet.ID(1); id <= 3; id++ {
				s.wants(dup(publish(1, id, "t", "")))
				synctest.Wait()
				require.Equal(t, 0, c.link.quota)
				s.sends(ack(packet.PUBACK, id))
			}
			ends(t, c, s)
		})
	})

	t.Run("a session lost by the server completes what was sent and sends what was not", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			answer := &packet.Connack{Properties: props(receiveMaximum(1))}
			c, s, n := connected(t, Config{Connect: persistent(packet.V5), Reconnect: &Backoff{}}, answer)
			got := make(results, 2)
			require.NoError(t, c.PublishAsync(t.Context(), &Message{Topic: "sent", QoS: 1}, got.add))
			require.NoError(t, c.PublishAsync(t.Context(), &Message{Topic: "queued", QoS: 1}, got.add))
			s.receive()
			require.NoError(t, s.Close())
			s = n.accept()
			s.greets(answer)
			require.ErrorIs(t, (<-got).Err, ErrSessionLost)
			s.wants(publish(1, 2, "queued", ""))
			s.sends(ack(packet.PUBACK, 2))
			require.NoError(t, (<-got).Err)
			ends(t, c, s)
		})
	})

	t.Run("published while there is no connection, sent on the next", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			c, s, n := connected(t, Config{Connect: persistent(packet.V311), Reconnect: &Backoff{}}, nil)
			require.NoError(t, s.Close())
			synctest.Wait()
			require.ErrorIs(t, c.PublishAsync(t.Context(), &Message{Topic: "t"}, nil), ErrNotConnected)
			require.NoError(t, c.PublishAsync(t.Context(), &Message{Topic: "t", QoS: 1}, nil))
			s = n.accept()
			s.greets(&packet.Connack{SessionPresent: true})
			s.wants(publish(1, 1, "t", ""))
			ends(t, c, s)
		})
	})

	t.Run("after Close, the next Connect goes on", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			c, s, n := connected(t, Config{Connect: persistent(packet.V311)}, nil)
			got := make(results, 1)
			require.NoError(t, c.PublishAsync(t.Context(), &Message{Topic: "t", QoS: 1}, got.add))
			s.receive()
			ends(t, c, s)
			require.ErrorIs(t, (<-got).Err, ErrClosed)
			s = reconnected(t, c, n, &packet.Connack{SessionPresent: true})
			s.wants(dup(publish(1, 1, "t", "")))
			s.sends(ack(packet.PUBACK, 1))
			synctest.Wait()
			require.Equal(t, 1024, c.slot.free)
			ends(t, c, s)
		})
	})

	t.Run("another Client goes on from the same Store", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			store := new(Memory)
			cfg := Config{Connect: persistent(packet.V5), Store: store, Handler: func(*Message) {}}
			c, s, _ := connected(t, cfg, nil)
			for _, qos := range []packet.QoS{1, 2, 2} {
				require.NoError(t, c.PublishAsync(t.Context(), &Message{Topic: "t", QoS: qos}, nil))
				s.receive()
			}
			s.sends(ack(packet.PUBREC, 3))
			s.wants(ack(packet.PUBREL, 3))
			s.sends(publish(2, 7, "in", ""))
			s.wants(ack(packet.PUBREC, 7))
			ends(t, c, s)

			handled := 0
			cfg.Handler = func(*Message) { handled++ }
			c, s, _ = connected(t, cfg, &packet.Connack{SessionPresent: true})
			s.wants(ack(packet.PUBREL, 3))
			s.wants(dup(publish(1, 1, "t", "")))
			s.wants(dup(publish(2, 2, "t", "")))
			s.sends(dup(publish(2, 7, "in", "")))
			s.wants(ack(packet.PUBREC, 7))
			s.sends(ack(packet.PUBREL, 7))
			s.wants(ack(packet.PUBCOMP, 7))
			s.sends(ack(packet.PUBACK, 1), ack(packet.PUBCOMP, 3), ackCode(packet.PUBREC, 2, packet.QuotaExceeded))
			synctest.Wait()
			require.Zero(t, handled, "it was handled before")
			records, err := store.Load()
			require.NoError(t, err)
			require.Empty(t, records)
			ends(t, c, s)
		})
	})

	t.Run("a store that fails", func(t *testing.T) {
		full := errors.New("disk full")
		bubble(t, func(t *testing.T) {
			_, err := NewClient(Config{Store: &failing{load: full}})
			require.ErrorIs(t, err, full)
			c, s, _ := connected(t, Config{Connect: v(packet.V311), Store: &failing{put: full}}, nil)
			_, err = c.Publish(t.Context(), &Message{Topic: "t", QoS: 1})
			require.ErrorIs(t, err, full, "a publish that cannot be kept is not sent")
			ends(t, c, s)
			c, s, _ = connected(t, Config{Connect: v(packet.V311), Store: &failing{remove: full}}, nil)
			require.NoError(t, c.PublishAsync(t.Context(), &Message{Topic: "t", QoS: 1}, nil))
			s.receive()
			s.sends(ack(packet.PUBACK, 1))
			require.ErrorIs(t, c.Wait(), full, "a session that cannot be kept ends the connection")
			ends(t, c, s)
		})
	})
}

type failing struct {
	Memory
	load, put, remove error
}

func (f *failing) Load() ([]Record, error)           { return nil, f.load }
func (f *failing) Put(Record) error                  { return f.put }
func (f *failing) Delete(Direction, packet.ID) error { return f.remove }

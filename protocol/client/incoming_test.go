// SPDX-License-Identifier: Apache-2.0

package client

import (
	"errors"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"emqttd/protocol/packet"
)

func TestReceive(t *testing.T) {
	t.Run("messages are handled in order and acknowledged when the handler returns", func(t *testing.T) {
		eachVersion(t, func(t *testing.T, version packet.Version) {
			var got []string
			cfg := Config{Connect: v(version), Handler: func(m *Message) { got = append(got, m.Topic+"="+string(m.Payload)) }}
			c, s, _ := connected(t, cfg, nil)
			s.sends(publish(1, 5, "a", "1"), publish(0, 0, "b", "2"), publish(2, 5, "c", "3"))
			s.wants(ack(packet.PUBACK, 5))
			s.wants(ack(packet.PUBREC, 5))
			s.sends(ack(packet.PUBREL, 5))
			s.wants(ack(packet.PUBCOMP, 5))
			require.Equal(t, []string{"a=1", "b=2", "c=3"}, got)
			require.Empty(t, c.sess.inbound)
			require.Zero(t, c.link.unacked)
			ends(t, c, s)
		})
	})

	t.Run("without a handler messages are acknowledged and dropped", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			c, s, _ := connected(t, Config{Connect: v(packet.V311)}, nil)
			s.sends(publish(0, 0, "t", ""), publish(1, 1, "t", ""))
			s.wants(ack(packet.PUBACK, 1))
			ends(t, c, s)
		})
	})

	t.Run("manual acknowledgement: when the owner says so, and once", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			held := make(chan *Message, 3)
			c, s, _ := connected(t, Config{Connect: v(packet.V5), ManualAck: true, Handler: func(m *Message) { held <- m }}, nil)
			s.sends(publish(1, 1, "t", ""), publish(2, 2, "t", ""), publish(1, 3, "t", ""))
			one, two, three := <-held, <-held, <-held
			synctest.Wait()
			require.Equal(t, 3, c.link.unacked)
			require.NoError(t, one.Ack())
			require.NoError(t, one.Ack())
			s.wants(ack(packet.PUBACK, 1))
			require.NoError(t, two.Ack())
			s.wants(ack(packet.PUBREC, 2))
			require.NoError(t, three.Reject(packet.QuotaExceeded, nil))
			s.wants(ackCode(packet.PUBACK, 3, packet.QuotaExceeded))
			ends(t, c, s)
		})
	})

	t.Run("a rejected QoS 2 message ends with its PUBREC [v5 MQTT-4.3.3-9]", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			cfg := Config{Connect: v(packet.V5), ManualAck: true, Handler: func(m *Message) { _ = m.Reject(packet.NotAuthorized, nil) }}
			c, s, _ := connected(t, cfg, nil)
			for range 2 { // the identifier is free again
				s.sends(publish(2, 1, "t", ""))
				s.wants(ackCode(packet.PUBREC, 1, packet.NotAuthorized))
			}
			require.Zero(t, c.link.unacked)
			ends(t, c, s)
		})
	})

	t.Run("before 5.0 nothing can be rejected", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			rejected := make(chan error, 1)
			cfg := Config{Connect: v(packet.V311), Handler: func(m *Message) { rejected <- m.Reject(packet.NotAuthorized, nil) }}
			c, s, _ := connected(t, cfg, nil)
			s.sends(publish(1, 1, "t", ""))
			require.ErrorIs(t, <-rejected, errors.ErrUnsupported)
			s.wants(ack(packet.PUBACK, 1))
			ends(t, c, s)
		})
	})

	t.Run("QoS 2 is handled exactly once, across connections", func(t *testing.T) {
		eachVersion(t, func(t *testing.T, version packet.Version) {
			handled := 0
			cfg := Config{Connect: persistent(version), Reconnect: &Backoff{}, Handler: func(*Message) { handled++ }}
			c, s, n := connected(t, cfg, nil)
			s.sends(publish(2, 9, "t", "once"))
			s.wants(ack(packet.PUBREC, 9))
			s.sends(dup(publish(2, 9, "t", "once"))) // on the same connection: PUBREC was slow
			s.wants(ack(packet.PUBREC, 9))
			require.NoError(t, s.Close())
			s = n.accept()
			s.greets(&packet.Connack{SessionPresent: true})
			s.sends(dup(publish(2, 9, "t", "once")))
			s.wants(ack(packet.PUBREC, 9))
			s.sends(ack(packet.PUBREL, 9))
			s.wants(ack(packet.PUBCOMP, 9))
			require.Equal(t, 1, handled)
			s.sends(publish(2, 9, "t", "another"))
			s.wants(ack(packet.PUBREC, 9))
			require.Equal(t, 2, handled)
			ends(t, c, s)
		})
	})

	t.Run("a message held over a reconnect is acknowledged on the new connection, QoS 1 not", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			held := make(chan *Message, 3)
			cfg := Config{Connect: persistent(packet.V5), Reconnect: &Backoff{}, ManualAck: true, Handler: func(m *Message) { held <- m }}
			c, s, n := connected(t, cfg, nil)
			s.sends(publish(1, 1, "t", ""), publish(2, 2, "t", ""))
			one, two := <-held, <-held
			require.NoError(t, s.Close())
			s = n.accept()
			s.greets(&packet.Connack{SessionPresent: true})
			s.sends(dup(publish(2, 2, "t", "")), dup(publish(1, 1, "t", "")))
			again := <-held
			require.ErrorIs(t, one.Ack(), ErrStale, "it would acknowledge the second delivery before its time")
			require.NoError(t, two.Ack())
			s.wants(ack(packet.PUBREC, 2))
			require.NoError(t, again.Ack())
			s.wants(ack(packet.PUBACK, 1))
			ends(t, c, s)
		})
	})

	t.Run("acknowledged between two connections: the new one gets its PUBREC at once", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			held := make(chan *Message, 2)
			cfg := Config{Connect: persistent(packet.V5), Reconnect: &Backoff{}, ManualAck: true, Handler: func(m *Message) { held <- m }}
			c, s, n := connected(t, cfg, nil)
			s.sends(publish(2, 2, "t", ""))
			m := <-held
			require.NoError(t, s.Close())
			synctest.Wait()
			require.ErrorIs(t, m.Ack(), ErrStale)
			s = n.accept()
			s.greets(&packet.Connack{SessionPresent: true})
			s.sends(dup(publish(2, 2, "t", "")))
			s.wants(ack(packet.PUBREC, 2))
			require.Empty(t, held)
			ends(t, c, s)
		})
	})

	t.Run("a new session forgets what was received in the old [v5 MQTT-3.2.2-5]", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			handled := 0
			cfg := Config{Connect: persistent(packet.V5), Reconnect: &Backoff{}, Handler: func(*Message) { handled++ }}
			c, s, n := connected(t, cfg, nil)
			s.sends(publish(2, 9, "t", ""))
			s.wants(ack(packet.PUBREC, 9))
			require.NoError(t, s.Close())
			s = n.accept()
			s.greets(nil)
			s.sends(publish(2, 9, "t", ""))
			s.wants(ack(packet.PUBREC, 9))
			require.Equal(t, 2, handled)
			ends(t, c, s)
		})
	})

	t.Run("what Close leaves unhandled is handled after the next Connect", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			var handled []string
			var c *Client
			cfg := Config{Connect: persistent(packet.V311), Handler: func(m *Message) {
				if handled = append(handled, string(m.Payload)); len(handled) == 1 {
					synctest.Wait() // the second is in the queue
					_ = c.Close()
				}
			}}
			c, s, n := connectedInto(t, &c, cfg)
			go func() { _ = s.Send(publish(2, 1, "t", "a")); _ = s.Send(publish(2, 2, "t", "b")) }()
			<-c.Done()
			s = reconnected(t, c, n, &packet.Connack{SessionPresent: true})
			s.sends(dup(publish(2, 1, "t", "a")), dup(publish(2, 2, "t", "b")))
			s.wants(ack(packet.PUBREC, 1))
			s.wants(ack(packet.PUBREC, 2))
			require.Equal(t, []string{"a", "b"}, handled)
			ends(t, c, s)
		})
	})

	t.Run("a slow handler stops the reading, and loses nothing", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			release := make(chan struct{})
			handled := 0
			cfg := Config{Connect: v(packet.V311), QueueSize: 2, ReadBuffer: 6, Handler: func(*Message) { <-release; handled++ }}
			c, s, _ := connected(t, cfg, nil)
			sent := 0
			all := make(chan struct{})
			go func() {
				defer close(all)
				for range 10 {
					s.sends(publish(0, 0, "t", "x"))
					sent++
				}
			}()
			synctest.Wait()
			require.Equal(t, 4, sent, "one handled, two queued, one in the reader's hand")
			close(release)
			<-all
			synctest.Wait()
			require.Equal(t, 10, handled)
			ends(t, c, s)
		})
	})

	t.Run("messages that came before the connection was lost are still handled", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			handled := 0
			cfg := Config{Connect: v(packet.V311), Handler: func(*Message) { synctest.Wait(); handled++ }}
			c, s, _ := connected(t, cfg, nil)
			s.sends(publish(0, 0, "t", ""), publish(1, 1, "t", ""), publish(0, 0, "t", ""))
			require.NoError(t, s.Close())
			require.ErrorIs(t, c.Wait(), ErrConnectionLost)
			require.Equal(t, 3, handled)
		})
	})
}

func TestServerFaults(t *testing.T) {
	offer := packet.Connect{Version: packet.V5, ClientID: "c", Properties: props(receiveMaximum(1), aliasMaximum(2), maximumPacketSize(50))}
	for _, e := range []struct {
		name  string
		sends func(s *server)
		code  packet.ReasonCode
		want  packet.Fault
	}{
		{"more than our Receive Maximum [v5 MQTT-3.3.4-9]", func(s *server) { s.sends(publish(1, 1, "t", ""), publish(2, 2, "t", "")) }, packet.ReceiveMaximumExceeded, packet.FaultReceiveMaximum},
		{"an alias above our maximum [v5 MQTT-3.1.2-26]", func(s *server) { s.sends(&packet.Publish{Topic: []byte("t"), Properties: props(alias(3))}) }, packet.TopicAliasInvalid, packet.FaultTopicAlias},
		{"an alias not introduced", func(s *server) { s.sends(&packet.Publish{Properties: props(alias(2))}) }, packet.TopicAliasInvalid, packet.FaultTopicAlias},
		{"more than our maximum packet size [v5 MQTT-3.1.2-24]", func(s *server) { _ = s.SendRaw(unhex(s.t, "30 31")) }, packet.PacketTooLarge, packet.FaultPacketTooLarge},
		{"bytes that are no packet", func(s *server) { _ = s.SendRaw(unhex(s.t, "00 00")) }, packet.MalformedPacket, packet.FaultReservedType},
		{"a packet of the wrong direction", func(s *server) { _ = s.SendRaw(unhex(s.t, "c0 00")) }, packet.ProtocolError, packet.FaultDirection},
		{"a second CONNACK", func(s *server) { s.sends(&packet.Connack{}) }, packet.ProtocolError, packet.FaultSecondConnect},
		{"AUTH out of the blue", func(s *server) { s.sends(&packet.Auth{Properties: withAuth(props(), "M", nil)}) }, packet.ProtocolError, packet.FaultAuthUnexpected},
	} {
		t.Run(e.name+" is answered with DISCONNECT", func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				c, s, _ := connected(t, Config{Connect: offer, ManualAck: true, Handler: func(*Message) {}}, nil)
				e.sends(s)
				s.wants(&packet.Disconnect{Code: e.code})
				s.wantsClose()
				err := c.Wait()
				require.ErrorIs(t, err, e.want)
				_, ok := errors.AsType[*ProtocolError](err)
				require.True(t, ok)
			})
		})
	}

	t.Run("before 5.0 the connection is just closed", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			c, s, _ := connected(t, Config{Connect: v(packet.V311)}, nil)
			require.NoError(t, s.SendRaw(unhex(t, "f0 00")))
			s.wantsClose()
			require.ErrorIs(t, c.Wait(), packet.FaultReservedType)
		})
	})
}

func TestTopicAlias(t *testing.T) {
	t.Run("received aliases stand for their topics, until introduced anew", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			topics := make(chan string, 4)
			cfg := Config{Connect: packet.Connect{Version: packet.V5, Properties: props(aliasMaximum(1))}, Handler: func(m *Message) { topics <- m.Topic }}
			c, s, _ := connected(t, cfg, nil)
			for _, name := range []string{"a", "", "b", ""} {
				s.sends(&packet.Publish{Topic: []byte(name), Properties: props(alias(1))})
			}
			for _, want := range []string{"a", "a", "b", "b"} {
				require.Equal(t, want, <-topics)
			}
			ends(t, c, s)
		})
	})

	t.Run("the first topics get one, as many as both sides allow, anew on each connection", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			answer := &packet.Connack{SessionPresent: true, Properties: props(aliasMaximum(2))}
			c, s, n := connected(t, Config{Connect: persistent(packet.V5), TopicAliases: 9, Reconnect: &Backoff{}}, answer)
			aliased := func(p *packet.Publish, n uint16) *packet.Publish {
				p.Properties = props(alias(n))
				return p
			}
			publishes := []string{"a", "b", "c", "a"}
			for _, name := range publishes {
				require.NoError(t, c.PublishAsync(t.Context(), &Message{Topic: name, QoS: 1}, nil))
			}
			s.wants(aliased(publish(1, 1, "a", ""), 1))
			s.wants(aliased(publish(1, 2, "b", ""), 2))
			s.wants(publish(1, 3, "c", ""))
			s.wants(aliased(publish(1, 4, "", ""), 1))
			require.NoError(t, s.Close())
			s = n.accept()
			s.greets(answer)
			s.wants(dup(aliased(publish(1, 1, "a", ""), 1)))
			s.wants(dup(aliased(publish(1, 2, "b", ""), 2)))
			s.wants(dup(publish(1, 3, "c", "")))
			s.wants(dup(aliased(publish(1, 4, "", ""), 1)))
			ends(t, c, s)
		})
	})
}

// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"emqttd/protocol/packet"
)

// connectTo runs Connect against a script and returns its error.
func connectTo(t *testing.T, cfg Config, script func(s *server)) error {
	t.Helper()
	n := newNetwork(t)
	cfg.Dial = n.dial
	c, err := NewClient(cfg)
	require.NoError(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		s := n.accept()
		script(s)
		_ = s.Close()
	}()
	_, err = c.Connect(t.Context())
	if err == nil {
		require.NoError(t, c.Close())
	}
	<-c.Done()
	<-done
	return err
}

func TestConnect(t *testing.T) {
	t.Run("CONNECT is what the configuration says", func(t *testing.T) {
		eachVersion(t, func(t *testing.T, version packet.Version) {
			want := packet.Connect{
				Version: version, CleanStart: true, KeepAlive: 30, ClientID: "id",
				Will:     &packet.Will{QoS: packet.QoS1, Retain: true, Topic: "w", Payload: []byte("gone")},
				Username: "u", HasUsername: true, Password: []byte("p"), HasPassword: true,
			}
			if version == packet.V5 {
				want.Properties = props(receiveMaximum(5), aliasMaximum(3))
				want.Will.Properties = new(packet.Properties).Set(packet.PropWillDelay)
			}
			require.NoError(t, connectTo(t, Config{Connect: want}, func(s *server) {
				s.wants(&want)
				s.sends(&packet.Connack{})
				s.wantsClose()
			}))
		})
	})

	t.Run("a refusal is a typed error with the code", func(t *testing.T) {
		eachVersion(t, func(t *testing.T, version packet.Version) {
			err := connectTo(t, Config{Connect: v(version)}, func(s *server) {
				s.greets(&packet.Connack{Code: packet.NotAuthorized})
			})
			refused, ok := errors.AsType[*RefusedError](err)
			require.True(t, ok)
			require.Equal(t, packet.NotAuthorized, refused.Connack.Code)
			require.ErrorIs(t, err, packet.NotAuthorized)
		})
	})

	for _, c := range []struct {
		name   string
		script func(s *server)
		want   error
	}{
		{"the server closes without a word", func(s *server) { s.receive() }, ErrConnectionLost},
		{"the server speaks before it answers", func(s *server) { s.receive(); s.sends(&packet.Pingresp{}) }, packet.FaultNotConnected},
		{"the server sends no MQTT", func(s *server) { s.receive(); _ = s.SendRaw([]byte("HTTP/1.1 400 Bad Request\r\n")) }, packet.FaultFixedFlags},
		{"the server disconnects", func(s *server) { s.receive(); s.sends(&packet.Disconnect{Code: packet.ServerBusy}) }, packet.ServerBusy},
		{"the server challenges out of the blue", func(s *server) {
			s.receive()
			s.sends(&packet.Auth{Code: packet.ContinueAuthentication, Properties: withAuth(props(), "M", nil)})
		}, packet.FaultAuthUnexpected},
		{"a session where none was wanted", func(s *server) { s.greets(&packet.Connack{SessionPresent: true}) }, packet.FaultConnectFlags},
		{"the server says nothing", func(s *server) { s.receive(); s.wantsClose() }, context.DeadlineExceeded},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				cfg := Config{Connect: packet.Connect{Version: packet.V5, CleanStart: true}}
				require.ErrorIs(t, connectTo(t, cfg, c.script), c.want)
			})
		})
	}

	t.Run("a dial that fails is the error, and another Connect may follow", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			n := newNetwork(t)
			unreachable := errors.New("no route")
			n.fails(unreachable)
			c, err := NewClient(Config{Dial: n.dial})
			require.NoError(t, err)
			_, err = c.Connect(t.Context())
			require.ErrorIs(t, err, unreachable)
			n.fails(nil)
			s := reconnected(t, c, n, nil)
			_, err = c.Connect(t.Context())
			require.ErrorIs(t, err, ErrConnected)
			ends(t, c, s)
		})
	})

	t.Run("Close ends a Connect that waits", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			n := newNetwork(t)
			c, err := NewClient(Config{Dial: n.dial})
			require.NoError(t, err)
			go func() { s := n.accept(); s.receive(); s.wantsClose() }()
			go func() { synctest.Wait(); _ = c.Close() }()
			_, err = c.Connect(t.Context())
			require.ErrorIs(t, err, ErrClosed)
		})
	})

	t.Run("an assigned identifier is kept [v5 MQTT-3.2.2-16]", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			a := props()
			a.Set(packet.PropAssignedClientID).AssignedClientID = "srv-1"
			c, s, n := connected(t, Config{Connect: packet.Connect{Version: packet.V5}}, &packet.Connack{Properties: a})
			require.Equal(t, "srv-1", c.ClientID())
			ends(t, c, s)
			go func() {
				s = n.accept()
				require.Equal(t, "srv-1", s.greets(nil).ClientID)
			}()
			_, err := c.Connect(t.Context())
			require.NoError(t, err)
			ends(t, c, s)
		})
	})

	t.Run("limits are the server's, or the standard's defaults", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			a := props(receiveMaximum(7), maximumPacketSize(99), aliasMaximum(4))
			a.Set(packet.PropMaximumQoS).MaximumQoS = 1
			a.Set(packet.PropRetainAvailable)
			a.Set(packet.PropServerKeepAlive).ServerKeepAlive = 3
			c, s, _ := connected(t, Config{Connect: v(packet.V5)}, &packet.Connack{Properties: a})
			got, ok := c.Limits()
			require.True(t, ok)
			require.Equal(t, Limits{
				ReceiveMaximum: 7, MaximumPacketSize: 99, TopicAliasMaximum: 4, MaximumQoS: 1,
				WildcardAvailable: true, SubscriptionIDAvailable: true, SharedAvailable: true, KeepAlive: 3 * time.Second,
			}, got)
			ends(t, c, s)
			_, ok = c.Limits()
			require.False(t, ok)
		})
	})
}

func TestDisconnect(t *testing.T) {
	t.Run("DISCONNECT follows what was published, then the connection closes", func(t *testing.T) {
		eachVersion(t, func(t *testing.T, version packet.Version) {
			c, s, _ := connected(t, Config{Connect: v(version)}, nil)
			require.NoError(t, c.PublishAsync(t.Context(), &Message{Topic: "t"}, nil))
			go func() { require.NoError(t, c.Disconnect(t.Context(), nil)) }()
			s.wants(publish(0, 0, "t", ""))
			s.wants(&packet.Disconnect{})
			s.wantsClose()
			require.ErrorIs(t, c.Wait(), ErrClosed)
		})
	})

	t.Run("a code and properties are sent", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			c, s, _ := connected(t, Config{Connect: v(packet.V5)}, nil)
			d := &packet.Disconnect{Code: packet.DisconnectWithWill, Properties: props()}
			d.Properties.Set(packet.PropSessionExpiry).SessionExpiry = 5
			go func() { _ = c.Disconnect(t.Context(), d) }()
			s.wants(d)
			ends(t, c, s)
		})
	})

	t.Run("pending operations end with ErrClosed and what comes after with ErrNotConnected", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			c, s, _ := connected(t, Config{Connect: v(packet.V311)}, nil)
			got := make(results, 1)
			require.NoError(t, c.PublishAsync(t.Context(), &Message{Topic: "t", QoS: 1}, got.add))
			subscribed := make(chan error, 1)
			go func() {
				_, err := c.Subscribe(t.Context(), nil, packet.Subscription{Filter: "f"})
				subscribed <- err
			}()
			s.wants(publish(1, 1, "t", ""))
			s.receive()
			ends(t, c, s)
			require.ErrorIs(t, (<-got).Err, ErrClosed)
			require.ErrorIs(t, <-subscribed, ErrClosed)
			require.ErrorIs(t, c.PublishAsync(t.Context(), &Message{Topic: "t", QoS: 1}, nil), ErrNotConnected)
			require.ErrorIs(t, c.PublishAsync(t.Context(), &Message{Topic: "t"}, nil), ErrNotConnected)
			require.ErrorIs(t, c.Ping(t.Context()), ErrNotConnected)
			require.ErrorIs(t, c.Disconnect(t.Context(), nil), ErrNotConnected)
			require.ErrorIs(t, c.Wait(), ErrClosed)
		})
	})

	t.Run("a server's DISCONNECT is a typed error [v5 MQTT-3.14.4-1]", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			c, s, _ := connected(t, Config{Connect: v(packet.V5)}, nil)
			d := &packet.Disconnect{Code: packet.SessionTakenOver, Properties: props()}
			d.Properties.Set(packet.PropReasonString).ReasonString = "elsewhere"
			ended := make(chan error, 1)
			go func() { ended <- c.Wait() }()
			synctest.Wait()
			s.sends(d)
			err := <-ended
			require.ErrorIs(t, err, packet.SessionTakenOver)
			require.ErrorContains(t, err, "elsewhere")
			require.False(t, Retryable(err))
		})
	})

	t.Run("Close and Disconnect may be called by the handler", func(t *testing.T) {
		for name, stop := range map[string]func(c *Client) error{
			"close":      (*Client).Close,
			"disconnect": func(c *Client) error { return c.Disconnect(context.Background(), nil) },
		} {
			t.Run(name, func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					var c *Client
					handled := 0
					cfg := Config{Connect: v(packet.V311), QueueSize: 1, Handler: func(*Message) {
						handled++
						synctest.Wait() // the queue is full and the reader waits
						require.NoError(t, stop(c))
					}}
					c, s, _ := connectedInto(t, &c, cfg)
					go func() {
						for range 4 {
							if s.Send(publish(0, 0, "t", "")) != nil {
								return
							}
						}
						for {
							if _, err := s.Receive(t.Context()); err != nil {
								return
							}
						}
					}()
					<-c.Done()
					require.Equal(t, 1, handled, "no handler call begins after Close")
				})
			})
		}
	})
}

// connectedInto sets the variable that a handler uses before messages can come.
func connectedInto(t *testing.T, p **Client, cfg Config) (*Client, *server, *network) {
	t.Helper()
	n := newNetwork(t)
	cfg.Dial = n.dial
	c, err := NewClient(cfg)
	require.NoError(t, err)
	*p = c
	return c, reconnected(t, c, n, nil), n
}

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

func TestKeepAlive(t *testing.T) {
	t.Run("PINGREQ when nothing else was sent for the interval", func(t *testing.T) {
		eachVersion(t, func(t *testing.T, version packet.Version) {
			cfg := Config{Connect: v(version)}
			cfg.Connect.KeepAlive = 10
			c, s, _ := connected(t, cfg, nil)
			start := time.Now()
			s.wants(&packet.Pingreq{})
			require.Equal(t, 10*time.Second, time.Since(start))
			s.sends(&packet.Pingresp{})
			<-time.After(6 * time.Second) // virtual
			require.NoError(t, c.PublishAsync(t.Context(), &Message{Topic: "t"}, nil))
			s.receive()
			s.wants(&packet.Pingreq{})
			require.Equal(t, 26*time.Second, time.Since(start), "counted from the PUBLISH")
			ends(t, c, s)
		})
	})

	t.Run("no answer ends the connection", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			cfg := Config{Connect: v(packet.V311), PingTimeout: 3 * time.Second}
			cfg.Connect.KeepAlive = 10
			c, s, _ := connected(t, cfg, nil)
			start := time.Now()
			s.wants(&packet.Pingreq{})
			require.ErrorIs(t, c.Wait(), ErrPingTimeout)
			require.Equal(t, 13*time.Second, time.Since(start))
		})
	})

	t.Run("a handler that holds up the reader is no silence of the server", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			release := make(chan struct{})
			cfg := Config{Connect: v(packet.V311), QueueSize: 1, Handler: func(*Message) { <-release }}
			cfg.Connect.KeepAlive = 10
			c, s, _ := connected(t, cfg, nil)
			go func() {
				for range 3 {
					s.sends(publish(0, 0, "t", ""))
				}
			}()
			for range 5 {
				s.wants(&packet.Pingreq{}) // not answered: the reader would not see it
			}
			close(release)
			synctest.Wait()
			for range 5 {
				s.sends(&packet.Pingresp{})
			}
			require.NotNil(t, c.link)
			ends(t, c, s)
		})
	})

	t.Run("the server's keep alive counts [v5 MQTT-3.2.2-21], and 0 is none", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			a := props()
			a.Set(packet.PropServerKeepAlive).ServerKeepAlive = 2
			cfg := Config{Connect: v(packet.V5)}
			cfg.Connect.KeepAlive = 100
			c, s, _ := connected(t, cfg, &packet.Connack{Properties: a})
			start := time.Now()
			s.wants(&packet.Pingreq{})
			require.Equal(t, 2*time.Second, time.Since(start))
			ends(t, c, s)
			c, s, _ = connected(t, Config{Connect: v(packet.V5)}, nil)
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Hour)
			defer cancel()
			_, err := s.Receive(ctx)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			ends(t, c, s)
		})
	})

	t.Run("Ping waits for its own answer", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			c, s, _ := connected(t, Config{Connect: v(packet.V311)}, nil)
			answered := make(chan error, 2)
			for range 2 {
				go func() { answered <- c.Ping(t.Context()) }()
				s.wants(&packet.Pingreq{})
			}
			s.sends(&packet.Pingresp{}, &packet.Pingresp{}, &packet.Pingresp{})
			require.NoError(t, <-answered)
			require.NoError(t, <-answered)
			go func() { answered <- c.Ping(t.Context()) }()
			s.wants(&packet.Pingreq{})
			require.NoError(t, s.Close())
			require.ErrorIs(t, <-answered, ErrConnectionLost)
			ends(t, c, nil)
		})
	})
}

func TestSubscribe(t *testing.T) {
	t.Run("returns the codes in order", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			c, s, _ := connected(t, Config{Connect: v(packet.V5)}, nil)
			subs := []packet.Subscription{{Filter: "a", QoS: 2, NoLocal: true}, {Filter: "b"}}
			p := props()
			p.SubscriptionIDs = []uint32{7}
			codes := []packet.ReasonCode{packet.GrantedQoS1, packet.NotAuthorized}
			go func() {
				s.wants(&packet.Subscribe{ID: 1, Subscriptions: subs, Properties: p})
				s.sends(&packet.Suback{ID: 1, Codes: codes})
				s.wants(&packet.Unsubscribe{ID: 2, Filters: []string{"a", "b"}})
				s.sends(&packet.Unsuback{ID: 2, Codes: []packet.ReasonCode{packet.Success, packet.NoSubscriptionExisted}})
			}()
			a, err := c.Subscribe(t.Context(), p, subs...)
			require.NoError(t, err)
			require.Equal(t, codes, a.Codes)
			u, err := c.Unsubscribe(t.Context(), nil, "a", "b")
			require.NoError(t, err)
			require.Len(t, u.Codes, 2)
			require.Empty(t, c.sess.busy)
			ends(t, c, s)
		})
	})

	for _, e := range []struct {
		name   string
		answer packet.Packet
		want   error
	}{
		{"too few codes", &packet.Suback{ID: 1, Codes: []packet.ReasonCode{0}}, packet.FaultTruncated},
		{"the answer to something else", &packet.Unsuback{ID: 1, Codes: []packet.ReasonCode{0, 0}}, packet.FaultPacketIDUnknown},
	} {
		t.Run(e.name+" ends the connection", func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				c, s, _ := connected(t, Config{Connect: v(packet.V5)}, nil)
				go func() {
					s.receive()
					s.sends(e.answer)
					s.wants(&packet.Disconnect{Code: mapped(e.want.(packet.Fault))})
				}()
				_, err := c.Subscribe(t.Context(), nil, packet.Subscription{Filter: "a"}, packet.Subscription{Filter: "b"})
				require.ErrorIs(t, err, e.want)
				require.ErrorIs(t, c.Wait(), e.want)
			})
		})
	}

	t.Run("the caller gives up, the identifier stays taken until the answer", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			c, s, _ := connected(t, Config{Connect: v(packet.V311)}, nil)
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			go s.receive()
			_, err := c.Subscribe(ctx, nil, packet.Subscription{Filter: "a"})
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.Len(t, c.sess.busy, 1)
			s.sends(&packet.Suback{ID: 1, Codes: []packet.ReasonCode{0}}, &packet.Suback{ID: 1, Codes: []packet.ReasonCode{0}})
			synctest.Wait()
			require.Empty(t, c.sess.busy)
			ends(t, c, s)
		})
	})
}

// mapped is the code of the DISCONNECT that answers a fault.
func mapped(f packet.Fault) packet.ReasonCode {
	if c := f.Code(); c.ValidIn(packet.DISCONNECT) {
		return c
	}
	return packet.ProtocolError
}

func TestReconnect(t *testing.T) {
	t.Run("waits longer and longer, within a fifth, and tells of every connection", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			told := make(chan string, 4)
			cfg := Config{
				Connect: v(packet.V311), Reconnect: &Backoff{Min: time.Second, Max: 4 * time.Second},
				OnConnect: func(*packet.Connack) { told <- "up" }, OnDisconnect: func(error) { told <- "down" },
			}
			c, s, n := connected(t, cfg, nil)
			require.Equal(t, "up", <-told)
			n.fails(errors.New("refused"))
			lost := time.Now()
			require.NoError(t, s.Close())
			require.Equal(t, "down", <-told)
			<-time.After(8600 * time.Millisecond) // virtual: behind the third attempt (7 s, give or take 1.4), before the fourth (11, 2.2)
			n.fails(nil)
			s = n.accept()
			s.greets(nil)
			require.Equal(t, "up", <-told)
			n.times[0] = lost // the first dial was Connect's
			for i, want := range []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 4 * time.Second} {
				waited := n.times[i+1].Sub(n.times[i])
				require.InDelta(t, want.Seconds(), waited.Seconds(), want.Seconds()/5+0.01)
			}
			ends(t, c, s)
			require.Equal(t, "down", <-told)
		})
	})

	t.Run("gives up after so many attempts", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			c, s, n := connected(t, Config{Connect: v(packet.V311), Reconnect: &Backoff{Attempts: 3}}, nil)
			refused := errors.New("refused")
			n.fails(refused)
			require.NoError(t, s.Close())
			require.ErrorIs(t, c.Wait(), refused)
			require.Len(t, n.times, 1+3)
		})
	})

	t.Run("does not fight for its session", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			c, s, _ := connected(t, Config{Connect: v(packet.V5), Reconnect: &Backoff{}}, nil)
			s.sends(&packet.Disconnect{Code: packet.SessionTakenOver})
			require.ErrorIs(t, c.Wait(), packet.SessionTakenOver)
		})
	})

	t.Run("Close ends the waiting", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			c, s, _ := connected(t, Config{Connect: v(packet.V311), Reconnect: &Backoff{Min: time.Hour}}, nil)
			c.Drop()
			s.wantsClose()
			synctest.Wait()
			start := time.Now()
			require.NoError(t, c.Disconnect(t.Context(), nil))
			require.ErrorIs(t, c.Wait(), ErrClosed)
			require.Zero(t, time.Since(start))
		})
	})

	t.Run("a session that lives on is not started anew", func(t *testing.T) {
		for _, e := range []struct {
			name    string
			connect packet.Connect
			want    bool
		}{
			{"5.0 with an expiry", persistent(packet.V5), false},
			{"5.0 without", v(packet.V5), true},
			{"3.1.1: the flag is the session's kind", v(packet.V311), true},
		} {
			t.Run(e.name, func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					e.connect.CleanStart = true
					c, s, n := connected(t, Config{Connect: e.connect, Reconnect: &Backoff{}}, nil)
					require.NoError(t, s.Close())
					s = n.accept()
					require.Equal(t, e.want, s.greets(nil).CleanStart)
					ends(t, c, s)
				})
			})
		}
	})
}

// scram stands for a method with one challenge.
type scram struct {
	steps []string
	fail  error
}

func (a *scram) Method() string { return "TEST" }
func (a *scram) Begin() ([]byte, error) {
	a.steps = append(a.steps, "begin")
	return []byte("first"), nil
}
func (a *scram) Done(b []byte) error { a.steps = append(a.steps, "done "+string(b)); return a.fail }
func (a *scram) Next(b []byte) ([]byte, error) {
	a.steps = append(a.steps, "next "+string(b))
	return []byte("second"), nil
}

func TestAuth(t *testing.T) {
	step := func(code packet.ReasonCode, data string) *packet.Auth {
		return &packet.Auth{Code: code, Properties: withAuth(props(), "TEST", []byte(data))}
	}
	challenge := func(s *server) {
		s.sends(step(packet.ContinueAuthentication, "challenge"))
		s.wants(step(packet.ContinueAuthentication, "second"))
	}

	t.Run("the exchange before CONNACK and again later", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			a := &scram{}
			n := newNetwork(t)
			c, err := NewClient(Config{Dial: n.dial, Connect: v(packet.V5), Auth: a})
			require.NoError(t, err)
			var s *server
			scripted := make(chan struct{})
			go func() {
				defer close(scripted)
				s = n.accept()
				connect := s.receive().(*packet.Connect)
				require.Equal(t, "TEST", connect.Properties.AuthMethod)
				require.Equal(t, "first", string(connect.Properties.AuthData))
				challenge(s)
				s.sends(&packet.Connack{Properties: withAuth(props(), "TEST", []byte("ok"))})
				s.wants(step(packet.ReAuthenticate, "first"))
				challenge(s)
				s.sends(step(packet.Success, "ok again"))
			}()
			_, err = c.Connect(t.Context())
			require.NoError(t, err)
			require.NoError(t, c.Reauthenticate(t.Context()))
			<-scripted
			require.Equal(t, []string{
				"begin", "next challenge", "done ok", "begin", "next challenge", "done ok again",
			}, a.steps)

			ended := make(chan error, 1)
			go func() { ended <- c.Reauthenticate(t.Context()) }()
			s.receive()
			require.ErrorIs(t, c.Reauthenticate(t.Context()), ErrBusy)
			s.sends(&packet.Disconnect{Code: packet.NotAuthorized})
			require.ErrorIs(t, <-ended, packet.NotAuthorized)
			require.ErrorIs(t, c.Wait(), packet.NotAuthorized)
		})
	})

	t.Run("a server that does not prove itself is left", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			a := &scram{fail: errors.New("wrong proof")}
			err := connectTo(t, Config{Connect: v(packet.V5), Auth: a}, func(s *server) { s.greets(nil); s.wantsClose() })
			require.ErrorIs(t, err, a.fail)
		})
	})
}

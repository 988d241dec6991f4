// SPDX-License-Identifier: Apache-2.0

package broker_test

import (
	"crypto/tls"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"emqttd/protocol/packet"
	"emqttd/supervisor/broker/brokertest"
	"emqttd/supervisor/broker/config"
)

// What happens between and after connections: expiry, wills with a delay, shared
// messages that somebody else gets, reload.

// expiring is a CONNECT whose session lives for so many seconds.
func expiring(id string, seconds uint32) *packet.Connect {
	c := kept(packet.V5, id)
	c.Properties.SessionExpiry = seconds
	return c
}

func willIn(c *packet.Connect, seconds uint32) *packet.Connect {
	c.Will = &packet.Will{Topic: "will", Payload: []byte(c.ClientID), QoS: 1,
		Properties: props(packet.PropWillDelay, func(q *packet.Properties) { q.WillDelay = seconds })}
	return c
}

func TestASessionExpires(t *testing.T) {
	b := brokertest.Start(t)
	c := join(t, b, expiring("c", 1))
	c.subscribe(packet.QoS1, "t")
	_ = c.Close()
	back, ack := present(t, open(t, b, "tcp"), expiring("c", 1))
	require.True(t, ack.SessionPresent)
	back.leave()
	eventually(t, "it expires", func() bool { return b.Metrics().Sessions.Load() == 0 })
	require.Zero(t, b.Figures().Subscriptions())
	_, ack = present(t, open(t, b, "tcp"), expiring("c", 1))
	require.False(t, ack.SessionPresent)
}

func TestADisconnectMayShortenTheSession(t *testing.T) {
	b := brokertest.Start(t)
	c := join(t, b, expiring("c", 3600))
	c.send(&packet.Disconnect{Properties: props(packet.PropSessionExpiry, func(q *packet.Properties) { q.SessionExpiry = 0 })})
	c.closed()
	eventually(t, "it ends", func() bool { return b.Metrics().Sessions.Load() == 0 })
}

func TestAWillWaitsForItsDelayOrTheEndOfItsSession(t *testing.T) {
	b := brokertest.Start(t)
	w := join(t, b, clean(packet.V5, "witness"))
	w.subscribe(packet.QoS1, "will")
	// The client comes back in time: no will [v5 MQTT-3.1.3-9].
	_ = join(t, b, willIn(expiring("back", 60), 1)).Close()
	eventually(t, "the connection is gone", func() bool { return b.Metrics().Connected.Load() == 1 })
	back := join(t, b, expiring("back", 60))
	begin := time.Now()
	_ = join(t, b, willIn(expiring("late", 60), 1)).Close()
	_ = join(t, b, willIn(expiring("ended", 1), 60)).Close()
	_ = join(t, b, willIn(expiring("at once", 0), 60)).Close()
	w.hears("will", "at once") // with its session
	require.Less(t, time.Since(begin), 900*time.Millisecond)
	got := map[string]bool{}
	for range 2 {
		got[string(w.message().Payload)] = true
	}
	require.Equal(t, map[string]bool{"late": true, "ended": true}, got)
	require.GreaterOrEqual(t, time.Since(begin), time.Second)
	// A new session of the same client ends the old one, and its will's delay.
	_ = join(t, b, willIn(expiring("again", 60), 60)).Close()
	join(t, b, clean(packet.V5, "again")).leave()
	w.hears("will", "again")
	// DISCONNECT with 0x04 asks for it, 0x00 takes it away.
	p := join(t, b, willIn(clean(packet.V5, "asked"), 0))
	p.send(&packet.Disconnect{Code: packet.DisconnectWithWill})
	p.closed()
	w.hears("will", "asked")
	join(t, b, willIn(clean(packet.V5, "taken away"), 0)).leave()
	w.fence()
	back.fence()
}

func TestASharedMessageGoesToAnotherMemberWhenItsOwnLeaves(t *testing.T) {
	b := brokertest.Start(t)
	first := join(t, b, kept(packet.V5, "first"))
	first.subscribe(packet.QoS2, "$share/g/t")
	p := join(t, b, clean(packet.V5, "p"))
	for i := range 3 {
		p.publish(packet.QoS1, 1, "t", strconv.Itoa(i))
		require.Equal(t, strconv.Itoa(i), string(want[*packet.Publish](first).Payload)) // not acknowledged
	}
	p.publish(packet.QoS2, 2, "t", "sent, of QoS 2")
	require.Equal(t, packet.QoS2, want[*packet.Publish](first).QoS)
	second := join(t, b, kept(packet.V5, "second"))
	second.subscribe(packet.QoS2, "$share/g/t")
	_ = first.Close()
	got := map[string]bool{}
	for range 3 {
		got[string(second.message().Payload)] = true
	}
	require.Equal(t, map[string]bool{"0": true, "1": true, "2": true}, got)
	second.fence() // what was sent with QoS 2 stays [v5 MQTT-4.8.2-4]
	back := join(t, b, kept(packet.V5, "first"))
	require.Equal(t, "sent, of QoS 2", string(back.message().Payload))
	back.fence()
}

// A subscriber gets the retained messages and the live ones, none missing and
// none twice, however a publisher races with its SUBSCRIBE.
func TestRetainedAndLiveMessagesMeetAroundTheSuback(t *testing.T) {
	b := brokertest.Start(t, "runtime.loops=2", "retained.batch=10")
	p := join(t, b, clean(packet.V311, "p"))
	stop, stopped := make(chan struct{}), make(chan error, 1)
	const topics = 50
	for i := range topics {
		p.publish(packet.QoS1, 1, fmt.Sprint("r/", i), "0")
		p.send(retained(pub(packet.QoS1, 1, fmt.Sprint("r/", i), "0")))
		p.ack(packet.PUBACK)
	}
	go func() {
		for n := 1; ; n++ {
			for i := range topics {
				m := retained(pub(packet.QoS1, 1, fmt.Sprint("r/", i), strconv.Itoa(n)))
				if err := p.Send(m); err != nil {
					stopped <- err
					return
				}
				if _, err := p.next(); err != nil {
					stopped <- err
					return
				}
			}
			select {
			case <-stop:
				stopped <- nil
				return
			default:
			}
		}
	}()
	for round := range 40 {
		s := enter(t, open(t, b, transports[round%2]), clean(packet.V311, fmt.Sprint("s", round)))
		s.send(&packet.Subscribe{ID: 1, Subscriptions: []packet.Subscription{{Filter: "r/+", QoS: 1}}})
		seen := map[string]int{}
		for live := 0; len(seen) < topics || live < 2*topics; {
			q, err := s.next()
			require.NoError(t, err)
			m, ok := q.(*packet.Publish)
			if !ok {
				continue // SUBACK
			}
			s.send(&packet.Ack{Kind: packet.PUBACK, ID: m.ID})
			n, err := strconv.Atoi(string(m.Payload))
			require.NoError(t, err)
			last, had := seen[string(m.Topic)]
			switch {
			case m.Retain:
				require.False(t, had && n == last, "%s: %d live and retained", m.Topic, n)
			case had:
				require.Equal(t, last+1, n, "%s: live", m.Topic)
			}
			if !m.Retain {
				live++
			}
			seen[string(m.Topic)] = max(n, last)
		}
		_ = s.Close()
	}
	close(stop)
	require.NoError(t, <-stopped)
}

func TestReload(t *testing.T) {
	ca := newAuthority(t)
	dir := t.TempDir()
	cert, key := ca.files(dir, "before")
	rules := dir + "/acl"
	writeFile(t, rules, []byte("{deny, all, publish, [\"t\"]}.\n{allow, all}.\n"))
	sets := []string{"acl.file=" + rules, "auth.users={user: secret}", "auth.chain=[{type: builtin}]",
		"listeners.tls.default={bind: \"127.0.0.1:0\", tls: {cert_file: " + cert + ", key_file: " + key + "}}"}
	b := brokertest.Start(t, sets...)
	stays := join(t, b, withPassword(clean(packet.V5, "stays"), "secret"))
	stays.send(pub(packet.QoS1, 1, "t", "x"))
	require.Equal(t, packet.NotAuthorized, stays.ack(packet.PUBACK).Code)
	name := func() string {
		nc, err := dialTLS(b.Addr("listeners.tls.default"), ca.config())(t.Context())
		require.NoError(t, err)
		defer func() { _ = nc.Close() }()
		return nc.(*tls.Conn).ConnectionState().PeerCertificates[0].Subject.CommonName
	}
	require.Equal(t, "before", name())
	ca.files(dir, "after")
	writeFile(t, rules, []byte("{allow, all}.\n"))
	cfg, _, err := config.Load(config.Sources{Sets: append([]string{"listeners.tcp.default.bind=127.0.0.1:0", "dashboard.bind=", "listeners.ws.default.bind=127.0.0.1:0",
		"mqtt.max_packet_size=500", "auth.users={user: changed}"}, append(sets[:1:1], sets[2:]...)...)})
	require.NoError(t, err)
	_, err = b.Reload(cfg)
	require.NoError(t, err)
	require.Equal(t, "after", name())
	stays.fence()
	_, ack := present(t, open(t, b, "tcp"), withPassword(clean(packet.V5, "c"), "secret"))
	require.True(t, ack.Code.Failed(), "the old password")
	fresh, ack := present(t, open(t, b, "tcp"), withPassword(clean(packet.V5, "c"), "changed"))
	require.Equal(t, packet.Success, ack.Code)
	require.Equal(t, uint32(500), ack.Properties.MaximumPacketSize)
	fresh.send(pub(packet.QoS1, 1, "t", "x"))
	require.Equal(t, packet.NoMatchingSubscribers, fresh.ack(packet.PUBACK).Code)
}

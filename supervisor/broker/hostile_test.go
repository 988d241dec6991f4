// SPDX-License-Identifier: Apache-2.0

package broker_test

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"emqttd/protocol/packet"
	"emqttd/supervisor/broker/brokertest"
)

// Peers that send rubbish, do not read, or come and go: the others must not
// notice, and nothing may stay behind.

// malformedEnv, set in the environment, is how many malformed packets to send.
const malformedEnv = "EMQTTD_MALFORMED"

func TestMalformedPacketsDisturbNobody(t *testing.T) {
	total := 100_000
	if underRace {
		total /= 10
	}
	if s := os.Getenv(malformedEnv); s != "" {
		var err error
		total, err = strconv.Atoi(s)
		require.NoError(t, err)
	}
	b := brokertest.Start(t, "runtime.loops=2")
	var hostile sync.WaitGroup
	const peers = 4
	for i := range peers {
		hostile.Go(func() { rubbish(t, b, i, total/peers) })
	}
	traffic(t, b, 8, 500)
	hostile.Wait()
	settled(t, b)
	for _, v := range []packet.Version{packet.V311, packet.V5} {
		join(t, b, clean(v, "after")).fence()
	}
}

// rubbish sends n mutations of valid packets, most of them after a good CONNECT.
func rubbish(t *testing.T, b *brokertest.Broker, seed, n int) {
	rnd := rand.New(rand.NewPCG(uint64(seed), 1))
	for sent := 0; sent < n; {
		nc, err := net.Dial("tcp", b.TCP())
		if err != nil {
			t.Error(err)
			return
		}
		_ = nc.SetDeadline(time.Now().Add(patience))
		v := []packet.Version{packet.V31, packet.V311, packet.V5}[rnd.IntN(3)]
		var out []byte
		if rnd.IntN(8) > 0 {
			out = append(out, encodeAs(t, v, clean(v, fmt.Sprint("hostile", seed)))...)
		}
		for range 1 + rnd.IntN(16) {
			out = append(out, mutated(t, rnd, v)...)
			sent++
		}
		_, _ = nc.Write(out) // the broker may have closed already
		if rnd.IntN(2) == 0 {
			_ = nc.(*net.TCPConn).CloseWrite()
			_, _ = io.Copy(io.Discard, nc)
		}
		_ = nc.Close()
	}
}

// mutated is a valid packet with a few bytes or bits changed, cut, or doubled.
func mutated(t *testing.T, rnd *rand.Rand, v packet.Version) []byte {
	will := clean(v, "h")
	will.Will = &packet.Will{Topic: "hostile/will", Payload: []byte("x")}
	all := []packet.Packet{will, pub(packet.QoS0, 0, "hostile/t", "x"), pub(packet.QoS1, 7, "hostile/t", "x"), pub(packet.QoS2, 8, "hostile/t", "x"),
		&packet.Ack{Kind: packet.PUBREL, ID: 8}, &packet.Ack{Kind: packet.PUBACK, ID: 9}, &packet.Pingreq{}, &packet.Disconnect{},
		&packet.Subscribe{ID: 3, Subscriptions: []packet.Subscription{{Filter: "hostile/+", QoS: 1}, {Filter: "hostile/#"}}},
		&packet.Unsubscribe{ID: 4, Filters: []string{"hostile/+"}}}
	b := encodeAs(t, v, all[rnd.IntN(len(all))])
	for range 1 + rnd.IntN(3) {
		switch i := rnd.IntN(len(b)); rnd.IntN(4) {
		case 0:
			b[i] ^= 1 << rnd.IntN(8)
		case 1:
			b[i] = byte(rnd.Uint32())
		case 2:
			b = append(b[:i:i], b[min(len(b), i+1):]...)
		default:
			b = append(b[:i:i], append([]byte{byte(rnd.Uint32())}, b[i:]...)...)
		}
		if len(b) == 0 {
			return []byte{0xff}
		}
	}
	return b
}

// mochi died of a SUBSCRIBE of MQTT 5 without its options byte.
func TestASubscribeWithoutOptionsIsMalformed(t *testing.T) {
	b := brokertest.Start(t)
	p := join(t, b, clean(packet.V5, "p"))
	require.NoError(t, p.SendRaw([]byte{0x82, 0x06, 0x04, 0xd2, 0x00, 0x00, 0x01, 0x70}))
	p.turnedOut(packet.MalformedPacket)
	join(t, b, clean(packet.V5, "p")).fence()
}

// nats and aedes took a shared subscription for a plain filter.
func TestASharedSubscriptionIsNoPlainFilter(t *testing.T) {
	b := brokertest.Start(t)
	first, second := join(t, b, clean(packet.V5, "first")), join(t, b, clean(packet.V311, "second"))
	p := join(t, b, clean(packet.V5, "p"))
	for i, s := range []*peer{first, second} {
		s.subscribe(packet.QoS1, []string{"$share/g/t/#", "$queue/t/#", "$share/g/t/#"}[2*i])
	}
	p.send(pub(packet.QoS1, 1, "$share/g/t/x", "not for the group"))
	_, _ = p.next()
	for i := range 10 {
		p.publish(packet.QoS1, 2, "t/x", fmt.Sprint(i))
	}
	got := map[string]bool{}
	for range 5 {
		for _, s := range []*peer{first, second} {
			got[string(s.message().Payload)] = true
		}
	}
	require.Len(t, got, 10, "each went to one of them")
	first.fence()
	second.fence()
}

// emqttd's mailboxes grew with whoever did not read.
func TestAClientThatDoesNotReadCostsABoundedSumAndNobodyElse(t *testing.T) {
	b := brokertest.Start(t, "session.max_queued_messages=1000", "mqtt.write_timeout=60s")
	stuck := join(t, b, clean(packet.V311, "stuck"))
	reader := join(t, b, clean(packet.V311, "reader"))
	stuck.subscribe(packet.QoS0, "t")
	reader.subscribe(packet.QoS0, "t")
	p := join(t, b, clean(packet.V311, "p"))
	payload := string(make([]byte, 10_000))
	before := heap()
	const messages = 5000 // 50 MB
	for range messages / 100 {
		for range 100 {
			p.send(pub(packet.QoS0, 0, "t", payload))
		}
		p.fence()
		for range 100 {
			reader.hears("t", payload)
		}
	}
	require.Less(t, heap()-before, int64(24<<20), "queue 10 MB, out-buffer 1 MiB")
	require.Greater(t, drops(b)["qos0_slow"], int64(1000))
	reader.fence()
	require.NoError(t, stuck.Close())
	for _, c := range []*peer{reader, p} {
		c.leave()
	}
	settled(t, b)
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func TestABrokerThatIsStoppedLeavesNoGoroutine(t *testing.T) {
	for _, engine := range []string{"epoll", "goroutine"} {
		t.Run(engine, func(t *testing.T) {
			ignore := goleak.IgnoreCurrent()
			b := brokertest.Start(t, "runtime.engine="+engine)
			traffic(t, b, 4, 10)
			stays := join(t, b, clean(packet.V5, "stays"))
			b.Stop()
			require.Equal(t, packet.ServerShuttingDown, want[*packet.Disconnect](stays).Code)
			stays.closed()
			goleak.VerifyNone(t, ignore)
		})
	}
}

// SPDX-License-Identifier: Apache-2.0

package sys_test

import (
	"math"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"emqttd/actors/metrics"
	"emqttd/actors/sys"
	"emqttd/protocol/packet"
)

// load is a retained average.
func load(w *world, name string) float64 {
	v, err := strconv.ParseFloat(string(w.pub.Retained.Get("$SYS/broker/load/"+name).Payload), 64)
	require.NoError(w.t, err)
	return v
}

func TestAverages(t *testing.T) {
	newBroker := func(t *testing.T, interval time.Duration) *world {
		w := newWorld(t, sys.Settings{Interval: interval, Mosquitto: true}, nil)
		w.env.Metrics.Accepted.Store(1_000_000) // before the first report: of no minute
		w.after(0)
		return w
	}
	const cent = 0.005 // they have two digits

	t.Run("a steady rate is approached as its window says", func(t *testing.T) {
		w := newBroker(t, 10*time.Second)
		for range 6 * 15 {
			w.env.Metrics.Accepted.Add(20) // 120 a minute
			w.after(10 * time.Second)
		}
		require.InDelta(t, 120*(1-math.Exp(-15)), load(w, "sockets/1min"), cent)
		require.InDelta(t, 120*(1-math.Exp(-3)), load(w, "sockets/5min"), cent)
		require.InDelta(t, 120*(1-math.Exp(-1)), load(w, "sockets/15min"), cent)
	})
	t.Run("what is over fades", func(t *testing.T) {
		w := newBroker(t, time.Minute)
		w.env.Metrics.Accepted.Add(60)
		w.after(time.Minute)
		was := 60 * (1 - math.Exp(-1))
		require.InDelta(t, was, load(w, "sockets/1min"), cent)
		w.after(time.Minute)
		require.InDelta(t, was*math.Exp(-1), load(w, "sockets/1min"), cent)
		w.after(10 * time.Minute)
		require.Zero(t, load(w, "sockets/1min"))
		require.Positive(t, load(w, "sockets/15min"))
	})
	t.Run("the interval between reports makes no difference", func(t *testing.T) {
		often, seldom := newBroker(t, time.Second), newBroker(t, 5*time.Minute)
		for range 300 {
			often.env.Metrics.Accepted.Add(1)
			often.after(time.Second)
		}
		seldom.env.Metrics.Accepted.Add(300)
		seldom.after(5 * time.Minute)
		for _, window := range []string{"1min", "5min", "15min"} {
			require.InDelta(t, load(often, "sockets/"+window), load(seldom, "sockets/"+window), 2*cent)
		}
	})
	t.Run("a clock that is set back makes no rate", func(t *testing.T) {
		w := newBroker(t, time.Minute)
		w.env.Metrics.Accepted.Add(60)
		w.clock.now -= int64(time.Hour)
		sys.Configure(w.sys, sys.Settings{Interval: time.Minute, Mosquitto: true})
		w.after(0)
		w.after(0)
		require.Zero(t, load(w, "sockets/1min"))
		w.after(time.Minute)
		require.InDelta(t, 60*(1-math.Exp(-1)), load(w, "sockets/1min"), cent)
	})
}

func TestEachAverageIsOfItsOwnCounter(t *testing.T) {
	for name, counter := range map[string]func(*metrics.Metrics) *metrics.Counter{
		"messages/received": func(m *metrics.Metrics) *metrics.Counter { return &m.PacketsReceived[packet.PINGREQ] },
		"messages/sent":     func(m *metrics.Metrics) *metrics.Counter { return &m.PacketsSent[packet.PINGRESP] },
		"publish/received":  func(m *metrics.Metrics) *metrics.Counter { return &m.MessagesReceived[1] },
		"publish/sent":      func(m *metrics.Metrics) *metrics.Counter { return &m.MessagesSent[2] },
		"publish/dropped":   func(m *metrics.Metrics) *metrics.Counter { return &m.Dropped[metrics.DropQueueFull] },
		"bytes/received":    func(m *metrics.Metrics) *metrics.Counter { return &m.BytesReceived },
		"bytes/sent":        func(m *metrics.Metrics) *metrics.Counter { return &m.BytesSent },
		"sockets":           func(m *metrics.Metrics) *metrics.Counter { return &m.Accepted },
		"connections":       func(m *metrics.Metrics) *metrics.Counter { return &m.PacketsReceived[packet.CONNECT] },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, everything, nil)
			w.after(0)
			counter(w.env.Metrics).Add(1000)
			w.after(time.Minute)
			require.InDelta(t, 1000*(1-math.Exp(-1)), load(w, name+"/1min"), 0.005)
			moved := 0
			for _, line := range w.retained("$SYS/broker/load/+/1min") {
				if line[len(line)-4:] != "0.00" {
					moved++
				}
			}
			for _, line := range w.retained("$SYS/broker/load/+/+/1min") {
				if line[len(line)-5:] != " 0.00" {
					moved++
				}
			}
			want := 1
			if name == "connections" {
				want = 2 // a CONNECT is a packet that was received as well
			}
			require.Equal(t, want, moved)
		})
	}
}

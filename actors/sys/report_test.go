// SPDX-License-Identifier: Apache-2.0

package sys_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"emqttd/actors/cast"
	"emqttd/actors/metrics"
	"emqttd/actors/sys"
	"emqttd/protocol/message"
	"emqttd/supervisor/cell"
)

// number gives every counter that emqttd has a name for a value of its own.
func number(m *metrics.Metrics) {
	m.BytesReceived.Store(1001)
	m.BytesSent.Store(1002)
	for i := range m.PacketsReceived {
		m.PacketsReceived[i].Store(int64(100 + i))
		m.PacketsSent[i].Store(int64(200 + i))
	}
	for i := range m.MessagesReceived {
		m.MessagesReceived[i].Store(int64(31 + i))
		m.MessagesSent[i].Store(int64(41 + i))
	}
	m.Dropped[metrics.DropQueueFull].Store(3)
	m.Dropped[metrics.DropNoSubscriber].Store(4)
	m.Connected.Store(5)
	m.Sessions.Store(7)
	m.QueuedBytes.Store(10_000)
}

const node = "$SYS/brokers/emqttd@127.0.0.1/"

func TestAReportHasEmqttdsTopics(t *testing.T) {
	w := newWorld(t, sys.Settings{Interval: time.Minute}, nil, "$SYS/brokers", "$SYS/brokers/#")
	number(w.env.Metrics)
	w.after(0)
	require.Equal(t, []string{
		"$SYS/brokers emqttd@127.0.0.1",
		node + "version 1.2.3",
		node + "sysdescr a broker",
		node + "uptime 1 days, 1 hours, 1 minutes, 1 seconds",
		node + "datetime 2026-11-21 22:26:23",
		node + "stats/clients/count 5", node + "stats/clients/max 5",
		node + "stats/sessions/count 7", node + "stats/sessions/max 7",
		node + "stats/routes/count 2", node + "stats/routes/max 2",
		node + "stats/topics/count 2", node + "stats/topics/max 2",
		node + "stats/subscribers/count 2", node + "stats/subscribers/max 2",
		node + "stats/subscriptions/count 2", node + "stats/subscriptions/max 2",
		node + "stats/retained/count 0", node + "stats/retained/max 0", // those of this report come after
		node + "metrics/bytes/received 1001", node + "metrics/bytes/sent 1002",
		node + "metrics/packets/received 1720", node + "metrics/packets/sent 3320",
		node + "metrics/packets/connect 101", node + "metrics/packets/connack 202",
		node + "metrics/packets/publish/received 103", node + "metrics/packets/publish/sent 203",
		node + "metrics/packets/puback/received 104", node + "metrics/packets/puback/sent 204",
		node + "metrics/packets/pubrec/received 105", node + "metrics/packets/pubrec/sent 205",
		node + "metrics/packets/pubrel/received 106", node + "metrics/packets/pubrel/sent 206",
		node + "metrics/packets/pubcomp/received 107", node + "metrics/packets/pubcomp/sent 207",
		node + "metrics/packets/subscribe 108", node + "metrics/packets/suback 209",
		node + "metrics/packets/unsubscribe 110", node + "metrics/packets/unsuback 211",
		node + "metrics/packets/pingreq 112", node + "metrics/packets/pingresp 213",
		node + "metrics/packets/disconnect 114",
		node + "metrics/messages/received 96", node + "metrics/messages/sent 126",
		node + "metrics/messages/qos0/received 31", node + "metrics/messages/qos0/sent 41",
		node + "metrics/messages/qos1/received 32", node + "metrics/messages/qos1/sent 42",
		node + "metrics/messages/qos2/received 33", node + "metrics/messages/qos2/sent 43",
		node + "metrics/messages/dropped 7",
		node + "metrics/messages/retained 0",
	}, w.heard())
	require.Equal(t, []string{"$SYS/brokers emqttd@127.0.0.1", node + "sysdescr a broker", node + "version 1.2.3"},
		slices.Sorted(slices.Values(w.retained("$SYS/#"))))
}

func TestAReportHasMosquittosTopics(t *testing.T) {
	w := newWorld(t, sys.Settings{Interval: time.Minute, Mosquitto: true}, nil, "$SYS/broker/#")
	number(w.env.Metrics)
	w.after(0)
	want := []string{
		"$SYS/broker/version emqttd version 1.2.3",
		"$SYS/broker/uptime 90061 seconds",
		"$SYS/broker/clients/connected 5", "$SYS/broker/clients/active 5",
		"$SYS/broker/clients/disconnected 2", "$SYS/broker/clients/inactive 2",
		"$SYS/broker/clients/total 7", "$SYS/broker/clients/maximum 5",
		"$SYS/broker/messages/received 1720", "$SYS/broker/messages/sent 3320",
		"$SYS/broker/publish/messages/received 96", "$SYS/broker/publish/messages/sent 126",
		"$SYS/broker/publish/messages/dropped 3", // a message without a subscriber is none
		"$SYS/broker/bytes/received 1001", "$SYS/broker/bytes/sent 1002",
		"$SYS/broker/store/messages/bytes 10000",
		"$SYS/broker/subscriptions/count 1", "$SYS/broker/retained messages/count 0",
		"$SYS/broker/heap/current 1000", "$SYS/broker/heap/maximum 1000",
	}
	for _, name := range []string{"messages/received", "messages/sent", "publish/received", "publish/sent", "publish/dropped",
		"bytes/received", "bytes/sent", "sockets", "connections"} {
		for _, window := range []string{"1min", "5min", "15min"} {
			want = append(want, "$SYS/broker/load/"+name+"/"+window+" 0.00")
		}
	}
	require.Equal(t, want, w.heard())
	require.Equal(t, slices.Sorted(slices.Values(want)), slices.Sorted(slices.Values(w.retained("$SYS/broker/#"))), "all are retained")
}

func TestReportsComeAtTheStartAndThenWithTheInterval(t *testing.T) {
	w := newWorld(t, everything, nil, node+"uptime")
	require.Empty(t, w.heard())
	w.after(0)
	require.Equal(t, []string{node + "uptime 1 days, 1 hours, 1 minutes, 1 seconds"}, w.heard())
	w.after(59 * time.Second)
	require.Empty(t, w.heard())
	for i := 2; i < 5; i++ {
		w.after(time.Second)
		require.Equal(t, []string{fmt.Sprintf("%suptime 1 days, 1 hours, %d minutes, 1 seconds", node, i)}, w.heard())
		w.after(59 * time.Second)
		require.Empty(t, w.heard())
	}
}

func TestWhatIsRetainedIsPublishedAgainOnlyWhenItHasChanged(t *testing.T) {
	stored := func(f *sys.Figures) { f.StoredBytes = func() int64 { return 7 } }
	w := newWorld(t, everything, stored, "$SYS/brokers", node+"version", "$SYS/broker/#")
	w.after(0)
	require.Len(t, w.heard(), 2+20+27)
	w.after(time.Minute)
	require.Equal(t, []string{"$SYS/broker/uptime 90121 seconds", "$SYS/broker/retained messages/count 50"}, w.heard(),
		"50: those of the first report")
	w.env.Metrics.BytesSent.Add(60)
	w.after(time.Minute)
	heard := w.heard()
	require.Contains(t, heard, "$SYS/broker/bytes/sent 60")
	require.Contains(t, heard, "$SYS/broker/load/bytes/sent/1min 37.93")
	require.NotContains(t, heard, node+"version 1.2.3")
}

func TestWithoutAnIntervalThereIsNoReport(t *testing.T) {
	w := newWorld(t, sys.Settings{Mosquitto: true}, nil, "$SYS/#")
	w.after(0)
	w.after(24 * time.Hour)
	require.Empty(t, w.heard())
	require.Empty(t, w.retained("$SYS/#"))
}

func TestSettingsHoldAtOnce(t *testing.T) {
	w := newWorld(t, sys.Settings{}, nil, node+"uptime")
	w.after(time.Hour)
	require.Empty(t, w.heard())
	sys.Configure(w.sys, everything)
	w.drain()
	w.after(0)
	require.Len(t, w.heard(), 1)
	w.after(30 * time.Second)
	sys.Configure(w.sys, sys.Settings{Interval: time.Second})
	w.drain()
	w.after(0)
	require.Len(t, w.heard(), 1)
	w.after(time.Second)
	require.Len(t, w.heard(), 1)
}

func TestASwitchThatIsTurnedOffTakesItsRetainedMessagesAway(t *testing.T) {
	w := newWorld(t, everything, nil)
	w.after(0)
	require.Len(t, w.retained("$SYS/broker/#"), 47)
	sys.Configure(w.sys, sys.Settings{Interval: time.Minute})
	w.drain()
	w.after(0)
	require.Empty(t, w.retained("$SYS/broker/#"))
	require.Len(t, w.retained("$SYS/#"), 3)
	sys.Configure(w.sys, sys.Settings{Mosquitto: true})
	w.drain()
	w.after(0)
	require.Empty(t, w.retained("$SYS/#"))
}

// TestWhatAnEarlierRunHasLeftRetainedIsTakenAway: a durable store brings back
// what was published before a restart with other settings.
func TestWhatAnEarlierRunHasLeftRetainedIsTakenAway(t *testing.T) {
	w := newWorld(t, sys.Settings{}, nil)
	w.pub.Retained.Put(&message.Message{Topic: "$SYS/broker/uptime", Payload: []byte("1 seconds"), Retain: true})
	w.after(0)
	require.Empty(t, w.retained("$SYS/#"))
}

func TestWhatNobodyHasSubscribedToIsNotCountedAsDropped(t *testing.T) {
	w := newWorld(t, everything, nil)
	w.after(0)
	w.send(&cast.ClientConnected{ClientID: "c"})
	for reason, n := range w.env.Metrics.Drops {
		require.Zero(t, n, reason)
	}
}

func TestWithoutRetainedMessagesTheNamesAreStillPublished(t *testing.T) {
	w := newWorld(t, everything, nil, "$SYS/brokers", "$SYS/broker/version")
	lim := limits()
	lim.Retain = false
	w.env.SetLimits(lim)
	for range 2 {
		w.after(time.Minute)
		require.Equal(t, []string{"$SYS/brokers emqttd@127.0.0.1", "$SYS/broker/version emqttd version 1.2.3"}, w.heard())
	}
	require.Empty(t, w.retained("$SYS/#"))
	require.Zero(t, w.env.Metrics.Dropped[metrics.DropNoSubscriber].Load(), "of the others")
}

func TestTheBrokerKeepsToItsOwnLimitOfLevels(t *testing.T) {
	w := newWorld(t, everything, nil, "$SYS/#")
	lim := limits()
	lim.Topics.Levels = 4
	w.env.SetLimits(lim)
	w.after(0)
	heard := w.heard()
	require.Contains(t, heard, node+"version 1.2.3")
	for _, line := range heard {
		require.Less(t, strings.Count(strings.SplitN(line, " ", 2)[0], "/"), 4, line)
	}
}

func TestTheHighestValuesAreKept(t *testing.T) {
	heap := int64(100)
	change := func(f *sys.Figures) { f.Heap = func() int64 { return heap } }
	w := newWorld(t, everything, change, node+"stats/clients/+", node+"stats/sessions/max", "$SYS/broker/clients/maximum", "$SYS/broker/heap/+")
	m := w.env.Metrics
	m.Connected.Store(5)
	m.Sessions.Store(6)
	w.after(0)
	require.Equal(t, []string{node + "stats/clients/count 5", node + "stats/clients/max 5", node + "stats/sessions/max 6",
		"$SYS/broker/clients/maximum 5", "$SYS/broker/heap/current 100", "$SYS/broker/heap/maximum 100"}, w.heard())

	m.Connected.Store(9) // between two reports, seen since the ninth client says so
	w.send(&cast.ClientConnected{ClientID: "ninth"})
	m.Connected.Store(2)
	heap = 50
	w.after(time.Minute)
	require.Equal(t, []string{node + "stats/clients/count 2", node + "stats/clients/max 9", node + "stats/sessions/max 6",
		"$SYS/broker/clients/maximum 9", "$SYS/broker/heap/current 50"}, w.heard())
	m.Sessions.Store(8)
	w.send(&cast.ClientConnected{ClientID: "of a new session"})
	m.Sessions.Store(7)
	w.after(time.Minute)
	require.Contains(t, w.heard(), node+"stats/sessions/max 8")
}

func TestFiguresThatAreReadFromTheBroker(t *testing.T) {
	w := newWorld(t, sys.Settings{}, nil, "a/#", "a/#", "b")
	w.pub.Retained.Put(&message.Message{Topic: "t", Payload: []byte("x"), Retain: true})
	w.env.Metrics.QueuedBytes.Store(100)
	f := sys.FiguresOf(w.pub)
	require.EqualValues(t, 2, f.Filters())
	require.EqualValues(t, 3, f.Subscriptions())
	require.EqualValues(t, 1, f.Retained())
	require.Equal(t, 100+w.pub.Retained.Bytes(), f.StoredBytes())
	require.Greater(t, f.Heap(), int64(10_000))
}

func TestAMessageThatIsNotTheActorsIsLogged(t *testing.T) {
	w := newWorld(t, everything, nil)
	w.send(&cast.Match{})
	require.Contains(t, w.log.String(), "unexpected message")
	w.send(&cell.Skip{})
	require.Equal(t, 1, strings.Count(w.log.String(), "\n"))
}

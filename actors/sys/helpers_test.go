// SPDX-License-Identifier: Apache-2.0

package sys_test

import (
	"bytes"
	"os"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"emqttd/actors/cast"
	"emqttd/actors/metrics"
	"emqttd/actors/retainer"
	"emqttd/actors/router"
	"emqttd/actors/session"
	"emqttd/actors/store"
	"emqttd/actors/store/memory"
	"emqttd/actors/sys"
	"emqttd/protocol/message"
	"emqttd/protocol/packet"
	"emqttd/protocol/topic"
	"emqttd/supervisor"
	"emqttd/supervisor/cell"
	"emqttd/supervisor/group"
	"emqttd/supervisor/stagetest"
)

// start is when every test begins: a day, an hour, a minute and a second after
// the broker has.
var start = time.Date(2026, 11, 21, 21, 26, 23, 0, time.UTC)

func TestMain(m *testing.M) {
	time.Local = time.FixedZone("test", 3600) // datetime is local
	os.Exit(m.Run())
}

type manual struct{ now int64 }

func (m *manual) Now() int64 { return m.now }

// world is the actor with everything around it that publishing needs, and one
// subscriber.
type world struct {
	t     *testing.T
	clock *manual
	g     *group.Group
	env   *cast.Env
	pub   *session.Publisher
	sys   *cell.Cell
	kind  *cell.Kind
	log   bytes.Buffer
	got   []*message.Message // by the subscriber, in order
}

func limits() *cast.Limits {
	return &cast.Limits{Topics: topic.Limits{Length: 4096, Levels: 128}, MatchSteps: 16_384, Retain: true,
		RetainedCount: 1000, RetainedPayload: 1 << 20, StoreBytes: 1 << 30, SharedStrategy: "round_robin"}
}

// newWorld subscribes to the filters; change is applied to the figures before
// the first report, which has not been made yet.
func newWorld(t *testing.T, set sys.Settings, change func(*sys.Figures), filters ...string) *world {
	w := &world{t: t, clock: &manual{start.UnixNano()}}
	w.g = group.New("test", w.clock, nil)
	log := zerolog.New(&w.log)
	w.env = cast.NewEnv("emqttd@127.0.0.1", log, new(metrics.Metrics), limits())
	engine := memory.New()
	index := retainer.NewIndex(128)
	w.env.Store = cell.New(store.Kind(engine, nil, log), "store", w.g, nil)
	w.pub = &session.Publisher{Env: w.env, Table: router.NewTable(128), Retained: index, Log: store.NewLog(0, w.env.Store, index)}
	figures := sys.FiguresOf(w.pub)
	figures.Heap = func() int64 { return 1000 }
	if change != nil {
		change(&figures)
	}
	about := sys.About{Version: "1.2.3", Description: "a broker", Started: start.Add(-25*time.Hour - 61*time.Second).UnixNano()}
	w.kind = sys.Kind(sys.NewMemory(w.pub, figures, about, set))
	w.sys = cell.New(w.kind, "sys", w.g, nil)
	subscriber := cell.New(&cell.Kind{Name: "session", New: func(*cell.Cell) cell.Stage { return (*listener)(w) }}, "session/1", w.g, nil)
	root := supervisor.New("root", w.g, supervisor.Options{MaxRestarts: 1000, Within: time.Hour,
		Children: []supervisor.Child{{Cell: w.env.Store}, {Cell: subscriber}, {Cell: w.sys}}}, zerolog.Nop())
	require.NoError(t, supervisor.StartRoot(supervisor.System(zerolog.Nop()), root, func(*cell.Crash) { t.Error("root gave up") }))
	for _, f := range filters {
		sub := &cast.Subscription{Subscriber: &cast.Subscriber{Session: subscriber, Number: 1, ClientID: "c"}, Filter: f}
		w.pub.Table.Accept(&cast.Route{Changes: []cast.Change{{New: sub}}})
	}
	w.drain()
	return w
}

// listener is the stage of the subscriber.
type listener world

// Receive implements cell.Stage.
func (l *listener) Receive(ctx *cell.Context) {
	l.got = append(l.got, ctx.Message().(*cast.Dispatch).Messages...)
}

func (w *world) drain() { stagetest.Drain(w.g) }

// after moves the clock and does what is due.
func (w *world) after(d time.Duration) {
	w.clock.now += int64(d)
	w.g.Tick()
	w.drain()
}

// send hands the actor a message and forgets what was heard before.
func (w *world) send(m cell.Message) {
	w.got = nil
	w.sys.Push(m)
	w.drain()
}

// heard is what the subscriber got since the last call, as "topic payload".
func (w *world) heard() (out []string) {
	for _, m := range w.got {
		require.Equal(w.t, packet.QoS0, m.QoS)
		require.Empty(w.t, m.From)
		out = append(out, m.Topic+" "+string(m.Payload))
	}
	w.got = nil
	return out
}

// retained is what is retained, in the order of topics.
func (w *world) retained(filter string) (out []string) {
	w.pub.Retained.Walk(filter, func(m *message.Message) bool {
		out = append(out, m.Topic+" "+string(m.Payload))
		return true
	})
	return out
}

var everything = sys.Settings{Interval: time.Minute, Presence: true, Mosquitto: true}

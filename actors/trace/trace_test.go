// SPDX-License-Identifier: Apache-2.0

package trace

import (
	"bufio"
	"context"
	"encoding/json"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"emqttd/supervisor"
	"emqttd/supervisor/cell"
	"emqttd/supervisor/group"
	"emqttd/supervisor/mailbox"
)

var start = time.Date(2026, 11, 22, 3, 0, 0, 0, time.UTC)

type manual struct{ now int64 }

func (m *manual) Now() int64 { return m.now }

// world is a tracer, and an actor that notes what it is sent.
type world struct {
	t     *testing.T
	clock *manual
	g     *group.Group
	tr    *Tracer
	actor *cell.Cell
	jobs  []func()
	full  bool // the pool takes no job
}

type told struct {
	mailbox.Link
	event   Event
	crashes int
}

func newWorld(t *testing.T, b Bounds) *world {
	w := &world{t: t, clock: &manual{start.UnixNano()}}
	w.tr = New(b, func(job func()) bool {
		if !w.full {
			w.jobs = append(w.jobs, job)
		}
		return !w.full
	})
	w.g = group.New("test", w.clock, nil)
	w.actor = cell.New(&cell.Kind{Name: "teller", New: func(*cell.Cell) cell.Stage { return (*teller)(w) }}, "teller/1", w.g, nil)
	root := supervisor.New("root", w.g, supervisor.Options{MaxRestarts: 100, Within: time.Hour, Children: []supervisor.Child{{Cell: w.actor}}}, zerolog.Nop())
	require.NoError(t, supervisor.StartRoot(supervisor.System(zerolog.Nop()), root, func(*cell.Crash) { t.Error("root gave up") }))
	w.drain()
	return w
}

type teller world

// Receive implements cell.Stage.
func (w *teller) Receive(ctx *cell.Context) {
	msg, ok := ctx.Message().(*told)
	if !ok || !w.tr.On() {
		return
	}
	w.tr.Note(ctx, msg.event)
	if msg.crashes > 0 {
		msg.crashes--
		panic("told to")
	}
}

func (w *world) drain() {
	for range 10_000 {
		if !w.g.RunOne() {
			return
		}
	}
	w.t.Fatal("the group does not come to rest")
}

func (w *world) tell(events ...Event) {
	for _, e := range events {
		w.actor.Push(&told{event: e})
	}
	w.drain()
}

func (w *world) start(by By, value, file string) *Trace {
	w.t.Helper()
	tr, err := w.tr.Start(Rule{By: by, Value: value}, 0, file, time.Unix(0, w.clock.now))
	require.NoError(w.t, err)
	return tr
}

// topics are what the events that were read are about.
func topics(events []Event) (out []string) {
	for _, e := range events {
		out = append(out, e.Topic)
	}
	return out
}

var small = Bounds{Traces: 2, Events: 4, Longest: time.Hour, FileSize: 64 << 10, Files: 1}

func TestARuleChoosesEvents(t *testing.T) {
	addr := netip.MustParseAddrPort
	all := []Event{
		{Client: "a", Topic: "by client"},
		{Client: "b", From: "a", Topic: "by publisher"},
		{Client: "b", Topic: "room/4/light", Addr: addr("10.1.2.3:5")},
		{Client: "ab", Topic: "room", Addr: addr("[::ffff:10.1.2.4]:5")},
		{Client: "A"},
	}
	for _, tc := range []struct {
		name  string
		by    By
		value string
		want  []string
	}{
		{"a client's own and what it published", ByClient, "a", []string{"by client", "by publisher"}},
		{"a topic", ByTopic, "room/4/light", []string{"room/4/light"}},
		{"a filter", ByTopic, "room/#", []string{"room/4/light", "room"}},
		{"an address", ByIP, "10.1.2.3", []string{"room/4/light"}},
		{"a prefix, of mapped addresses, too", ByIP, "10.1.2.9/24", []string{"room/4/light", "room"}},
		{"nobody", ByClient, "z", nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t, small)
			tr := w.start(tc.by, tc.value, "")
			w.tell(all...)
			events, lost, ended := tr.Read(0, 100)
			require.Equal(t, tc.want, topics(events))
			require.Zero(t, lost)
			require.False(t, ended)
		})
	}
}

func TestARuleThatMeansNothingIsRefused(t *testing.T) {
	w := newWorld(t, small)
	for _, r := range []Rule{{}, {By: ByClient}, {By: "name", Value: "x"}, {By: ByTopic, Value: "a/#/b"}, {By: ByIP, Value: "10.0.0"}, {By: ByIP, Value: "10.0.0.0/33"}} {
		_, err := w.tr.Start(r, 0, "", start)
		require.ErrorIs(t, err, ErrRule, "%+v", r)
	}
	require.False(t, w.tr.On())
}

func TestAnEventSaysWhoAndWhen(t *testing.T) {
	w := newWorld(t, small)
	tr := w.start(ByClient, "a", "")
	topic := []byte("t")
	w.actor.Push(&told{event: Event{Client: "a", Step: Received, Packet: "PUBLISH", Topic: View(topic), Bytes: 3, Addr: netip.MustParseAddrPort("127.0.0.1:9")}})
	w.drain()
	topic[0] = 'x' // the memory was only lent
	w.actor.Push(&told{event: Event{Client: "a"}, crashes: 1})
	w.drain()
	events, _, _ := tr.Read(0, 100)
	require.Len(t, events, 2, "what is decided twice is noted once")
	require.Equal(t, Event{Seq: 1, At: start.Local(), Actor: "teller/1", Kind: "teller", Step: Received, Client: "a", Packet: "PUBLISH", Topic: "t",
		Bytes: 3, Peer: "127.0.0.1:9", Addr: events[0].Addr}, events[0])
	require.True(t, events[1].Again, "and says that it was the second attempt")
	require.Contains(t, events[0].String(), ` teller/1                     received     PUBLISH "t" qos=0 bytes=3 client=a peer=127.0.0.1:9`)
}

func TestAReaderThatIsTooSlowIsToldWhatItMissed(t *testing.T) {
	w := newWorld(t, small)
	tr := w.start(ByClient, "a", "")
	for i := range 6 {
		w.tell(Event{Client: "a", Topic: string(rune('0' + i))})
	}
	events, lost, _ := tr.Read(0, 3)
	require.EqualValues(t, 2, lost)
	require.Equal(t, []string{"2", "3", "4"}, topics(events))
	events, lost, _ = tr.Read(events[2].Seq, 3)
	require.Zero(t, lost)
	require.Equal(t, []string{"5"}, topics(events))
	events, _, _ = tr.Read(1000, 3)
	require.Empty(t, events, "a cursor from elsewhere finds nothing")
}

func TestAReaderWaitsForTheNextEventAndForTheEnd(t *testing.T) {
	w := newWorld(t, small)
	tr := w.start(ByClient, "a", "")
	waits := func(after uint64) chan error {
		done := make(chan error, 1)
		go func() { done <- tr.Wait(context.Background(), after) }()
		return done
	}
	first := waits(0)
	w.tell(Event{Client: "a"})
	require.NoError(t, <-first)
	second := waits(1)
	require.True(t, w.tr.Stop(tr.ID()))
	require.NoError(t, <-second)
	_, _, ended := tr.Read(0, 0)
	require.False(t, ended, "one event is still to be read")
	_, _, ended = tr.Read(0, 10)
	require.True(t, ended)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	require.NoError(t, tr.Wait(ctx, 1), "there is nothing to wait for")
	other := w.start(ByClient, "b", "")
	require.ErrorIs(t, other.Wait(ctx, 0), context.Canceled)
}

func TestTracesAreBounded(t *testing.T) {
	w := newWorld(t, small)
	a, b := w.start(ByClient, "a", ""), w.start(ByClient, "b", "")
	_, err := w.tr.Start(Rule{By: ByClient, Value: "c"}, 0, "", start)
	require.ErrorIs(t, err, ErrFull)
	require.True(t, w.tr.Stop(a.ID()))
	c := w.start(ByClient, "c", "")
	require.True(t, w.tr.Stop(c.ID()))
	d := w.start(ByClient, "d", "")
	require.Len(t, w.tr.List(start), 4, "what ended can still be read")
	require.True(t, w.tr.Stop(d.ID()))
	w.start(ByClient, "e", "")
	require.Len(t, w.tr.List(start), 4)
	require.Nil(t, w.tr.Get(a.ID()), "the one that ended first is forgotten first")
	require.NotNil(t, w.tr.Get(b.ID()))
	require.True(t, w.tr.Remove(b.ID()))
	require.False(t, w.tr.Remove(b.ID()))
	require.False(t, w.tr.Stop(99))
}

func TestATraceEndsByItself(t *testing.T) {
	w := newWorld(t, small)
	tr, err := w.tr.Start(Rule{By: ByClient, Value: "a"}, time.Minute, "", start)
	require.NoError(t, err)
	w.tell(Event{Client: "a"})
	require.True(t, w.tr.On())
	w.clock.now += int64(time.Minute)
	w.g.Tick()
	w.tell(Event{Client: "somebody else"}) // whoever notes the time first
	require.False(t, w.tr.On())
	require.False(t, tr.Status().Running)
	events, _, ended := tr.Read(0, 10)
	require.Len(t, events, 1)
	require.True(t, ended)

	longest, err := w.tr.Start(Rule{By: ByClient, Value: "a"}, 48*time.Hour, "", start)
	require.NoError(t, err)
	require.Equal(t, start.Add(time.Hour), longest.Status().Until.UTC(), "at the longest as the bounds say")
	w.tr.List(start.Add(time.Hour))
	require.False(t, w.tr.On(), "also when nothing happens")
}

// lines are the events of a file.
func lines(t *testing.T, path string) (out []string) {
	f, err := os.Open(path)
	require.NoError(t, err)
	defer func() { require.NoError(t, f.Close()) }()
	for s := bufio.NewScanner(f); s.Scan(); {
		var e struct {
			Event
			Lost int `json:"lost"`
		}
		require.NoError(t, json.Unmarshal(s.Bytes(), &e))
		if e.Lost > 0 {
			out = append(out, "lost")
		} else {
			out = append(out, e.Topic)
		}
	}
	return out
}

func TestAFile(t *testing.T) {
	withDir := func(t *testing.T) Bounds {
		b := small
		b.Dir = filepath.Join(t.TempDir(), "trace")
		return b
	}
	run := func(w *world) {
		jobs := w.jobs
		w.jobs = nil
		for _, j := range jobs {
			j()
		}
	}
	t.Run("has every event, also those that came when the pool was full", func(t *testing.T) {
		w := newWorld(t, withDir(t))
		tr := w.start(ByClient, "a", "a.jsonl")
		w.full = true
		w.tell(Event{Client: "a", Topic: "0"})
		w.full = false
		w.tell(Event{Client: "a", Topic: "1"}, Event{Client: "a", Topic: "2"})
		require.Len(t, w.jobs, 1, "one job at a time")
		run(w)
		w.tell(Event{Client: "a", Topic: "3"})
		require.True(t, w.tr.Stop(tr.ID()))
		run(w)
		require.Equal(t, []string{"0", "1", "2", "3"}, lines(t, tr.Status().File))
		require.Empty(t, tr.Status().Error)
	})
	t.Run("says what the disk was too slow for", func(t *testing.T) {
		w := newWorld(t, withDir(t))
		tr := w.start(ByClient, "a", "a.jsonl")
		for i := range 6 {
			w.tell(Event{Client: "a", Topic: string(rune('0' + i))})
		}
		run(w)
		require.Equal(t, []string{"lost", "2", "3", "4", "5"}, lines(t, tr.Status().File))
	})
	t.Run("is rotated at its bound, and begins anew", func(t *testing.T) {
		b := withDir(t)
		b.FileSize = 100 // one event is longer
		w := newWorld(t, b)
		tr := w.start(ByClient, "a", "a.jsonl")
		for i := range 4 {
			w.tell(Event{Client: "a", Topic: string(rune('0' + i))})
			run(w)
		}
		path := tr.Status().File
		require.Equal(t, []string{"3"}, lines(t, path))
		require.Equal(t, []string{"2"}, lines(t, path+".1"))
		require.NoFileExists(t, path+".2", "older ones are not kept")
		require.NoError(t, w.tr.Close())
		w.start(ByClient, "a", "a.jsonl")
		require.Empty(t, lines(t, path))
		require.Equal(t, []string{"3"}, lines(t, path+".1"))
	})
	t.Run("belongs to one trace", func(t *testing.T) {
		w := newWorld(t, withDir(t))
		w.start(ByClient, "a", "a.jsonl")
		_, err := w.tr.Start(Rule{By: ByClient, Value: "b"}, 0, "a.jsonl", start)
		require.ErrorIs(t, err, ErrRule)
	})
	t.Run("lies in its directory, whatever it is called", func(t *testing.T) {
		w := newWorld(t, withDir(t))
		for _, name := range []string{"../a", "/etc/passwd", ".", "..", ".a", "a/b", "a b", "a\x00"} {
			_, err := w.tr.Start(Rule{By: ByClient, Value: "b"}, 0, name, start)
			require.ErrorIs(t, err, ErrRule, name)
		}
	})
	t.Run("that cannot be written ends, and the trace goes on", func(t *testing.T) {
		w := newWorld(t, withDir(t))
		tr := w.start(ByClient, "a", "a.jsonl")
		require.NoError(t, tr.file.f.Close()) // as if the disk were gone
		w.tell(Event{Client: "a"})
		run(w)
		require.NotEmpty(t, tr.Status().Error)
		w.tell(Event{Client: "a"})
		run(w)
		events, _, _ := tr.Read(0, 10)
		require.Len(t, events, 2)
	})
}

func TestATracerThatIsOffIsFree(t *testing.T) {
	var none *Tracer
	off := New(small, nil)
	require.Zero(t, testing.AllocsPerRun(100, func() {
		if none.On() || off.On() {
			t.Error("on")
		}
	}))
}

func BenchmarkNote(b *testing.B) {
	for _, tc := range []struct{ name, traced string }{{"of nobody", "z"}, {"of somebody", "a"}} {
		b.Run(tc.name, func(b *testing.B) {
			w := newWorld(&testing.T{}, Bounds{Traces: 1, Events: 4096, Longest: time.Hour})
			w.start(ByClient, tc.traced, "")
			m := &told{event: Event{Client: "a", From: "b", Topic: "room/4/light", Step: Delivered, Packet: "PUBLISH"}}
			b.ReportAllocs()
			for b.Loop() {
				w.actor.Push(m)
				for w.g.RunOne() {
				}
			}
		})
	}
}

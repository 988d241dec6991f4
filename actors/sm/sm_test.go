// SPDX-License-Identifier: Apache-2.0

package sm_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"emqttd/actors/cast"
	"emqttd/actors/cast/casttest"
	"emqttd/actors/metrics"
	"emqttd/actors/session"
	"emqttd/actors/sm"
	"emqttd/protocol/packet"
	"emqttd/supervisor/cell"
	"emqttd/supervisor/mailbox"
	"emqttd/supervisor/stagetest"
)

// desk is one worker of the session manager. The sessions that it makes are
// probes: what they are sent is kept by client id.
type desk struct {
	w        *stagetest.World
	env      *cast.Env
	sm       *cell.Cell
	sessions *sessions
}

// sessions is the actor kind of the sessions: all they do is to keep.
type sessions struct {
	got    []string
	newest map[string]*cell.Cell // by name
	epoch  bool                  // tell epochs
	ends   []uint64              // of the newest attach
}

// Receive implements cell.Stage.
func (s *sessions) Receive(ctx *cell.Context) {
	line := ""
	switch m := ctx.Message().(type) {
	case *cast.Attach:
		line = "attach"
		if s.epoch {
			line = fmt.Sprintf("attach epoch %d", m.Epoch)
		}
	case *cast.Destroy:
		line = fmt.Sprintf("destroy for %s", m.Reason)
		if m.Kept {
			line += ", kept"
		}
	}
	n := &note{from: ctx.Self(), line: ctx.Self().Name() + " " + line}
	if m, ok := ctx.Message().(*cast.Attach); ok {
		n.ends = m.Ends
	}
	ctx.Submit(s, n)
}

type note struct {
	mailbox.Link
	from *cell.Cell
	line string
	ends []uint64
}

// Accept implements cell.Acceptor.
func (s *sessions) Accept(m cell.Message) {
	n := m.(*note)
	s.got = append(s.got, n.line)
	s.ends = n.ends
	s.newest[n.from.Name()] = n.from
}

func (s *sessions) take() []string {
	got := s.got
	s.got = nil
	return got
}

func newDesk(w *stagetest.World) *desk {
	d := &desk{w: w, sessions: &sessions{newest: map[string]*cell.Cell{}, epoch: true}}
	d.env = cast.NewEnv("emqttd@127.0.0.1", zerolog.Nop(), new(metrics.Metrics), &cast.Limits{MaxSessions: 3})
	d.env.SessionSup = []*cell.Cell{w.Supervisor()}
	kind := &cell.Kind{Name: "session", NameOf: session.NameOf, New: func(*cell.Cell) cell.Stage { return d.sessions }}
	d.sm = cell.New(sm.Kind(sm.NewMemory(d.env, &session.Publisher{Env: d.env}, kind, new(atomic.Uint64), new(atomic.Uint64))), "sm/0", w.Group, nil)
	d.env.SM = []*cell.Cell{d.sm}
	w.Start(d.sm)
	return d
}

// start is a CONNECT of a client id; it is the probe in the place of the
// protocol actor that asks.
func (d *desk) start(t *testing.T, clientID string, clean bool) *stagetest.Probe {
	c := casttest.New(t)
	d.w.ProbeAt(&c.Loop, "loop", nil)
	p := d.w.ProbeAt(&c.Protocol, "protocol", nil)
	d.w.Tell(d.sm, &cast.StartSession{Conn: &c.Conn, ClientID: clientID, CleanStart: clean})
	return p
}

// connected is a directory in which one client is.
type connected struct{ c *cast.Client }

func (connected) Accept(cell.Message) {}

func (d connected) Client(id string) (*cast.Client, bool) { return d.c, d.c.ClientID == id }

// The connection of the session that ends hears of it from here: the session may
// be slower than the CONNACK to its successor, and what the old connection is sent
// behind that must not be acknowledged.
func TestACleanStartCutsTheConnectionBeforeIt(t *testing.T) {
	d := newDesk(stagetest.New(t))
	old := casttest.New(t)
	p := d.w.ProbeAt(&old.Protocol, "protocol", nil)
	d.start(t, "a", false)
	d.env.Directory = connected{&cast.Client{ClientID: "a", Conn: &old.Conn, Session: d.sessions.newest["session/a"]}}
	d.start(t, "b", true)
	d.start(t, "a", false)
	require.Empty(t, p.Take(), "the session sees to it, before it answers")
	d.start(t, "a", true)
	got := p.Take()
	require.Len(t, got, 1)
	require.Equal(t, packet.SessionTakenOver, got[0].(*cast.Kick).Code)
	d.start(t, "a", true)
	require.Empty(t, p.Take(), "it was another session's")
}

func TestEachConnectionOfAClientIDGetsAHigherEpoch(t *testing.T) {
	d := newDesk(stagetest.New(t))
	d.start(t, "a", false)
	d.start(t, "b", false)
	d.start(t, "a", false)
	require.Equal(t, []string{"session/a attach epoch 1", "session/b attach epoch 2", "session/a attach epoch 3"}, d.sessions.take())
	require.EqualValues(t, 2, d.env.Metrics.Sessions.Load())
}

func TestACleanStartNamesTheSessionWhoseRecordItEnds(t *testing.T) {
	for expiry, ends := range map[uint32][]uint64{0: nil, 60: {1}} {
		d := newDesk(stagetest.New(t))
		d.keep(t, "a", expiry)
		d.start(t, "a", true)
		require.Equal(t, ends, d.sessions.ends, "expiry %d", expiry)
	}
}

// keep is a CONNECT whose session stays for so many seconds.
func (d *desk) keep(t *testing.T, clientID string, expiry uint32) {
	c := casttest.New(t)
	d.w.ProbeAt(&c.Loop, "loop", nil)
	d.w.ProbeAt(&c.Protocol, "protocol", nil)
	d.w.Tell(d.sm, &cast.StartSession{Conn: &c.Conn, ClientID: clientID, Expiry: expiry})
}

// TestWhatTheStoreMayHaveOfEndedSessionsGoesWithTheNext: however they have ended, a
// CONNACK without a session must not be followed, after a kill, by one with it.
func TestWhatTheStoreMayHaveOfEndedSessionsGoesWithTheNext(t *testing.T) {
	d := newDesk(stagetest.New(t))
	next := func(clean bool) []uint64 {
		d.env.Metrics.Sessions.Store(0) // the probes do not count themselves out
		d.start(t, "a", clean)
		return d.sessions.ends
	}
	ends := func() []uint64 { return next(false) }
	d.keep(t, "a", 60) // session 1
	d.sessions.take()
	sm.Kick(d.env, "a")
	d.w.Drain()
	require.Equal(t, []string{"session/a destroy for kicked, kept"}, d.sessions.take())
	require.Equal(t, []uint64{1}, ends(), "session 2 begins, which the store has nothing of")
	require.Equal(t, []uint64{1}, ends(), "resumed, while the CONNACK before may not have come")
	require.Equal(t, []uint64{1}, next(true), "session 3")
	d.keep(t, "a", 60)
	require.Equal(t, []uint64{1}, d.sessions.ends)
	d.w.Tell(d.sm, &cast.Expired{ClientID: "a", Session: d.sessions.newest["session/a"], Epoch: 5})
	require.Equal(t, []uint64{1, 3}, ends(), "session 4")
	d.w.Tell(d.sm, &cast.SessionGone{ClientID: "a", Number: 1})
	require.Equal(t, []uint64{3}, ends())
	sm.Kick(d.env, "a")
	d.w.Drain()
	for _, word := range []*cast.SessionGone{{ClientID: "a", Number: 7}, {ClientID: "b", Number: 3}} {
		d.w.Tell(d.sm, word)
	}
	require.Equal(t, []uint64{3}, ends(), "session 5")
	sm.Kick(d.env, "a")
	d.w.Tell(d.sm, &cast.SessionGone{ClientID: "a", Number: 3})
	require.Empty(t, ends(), "session 6")
	d.start(t, "b", false)
	require.Empty(t, d.sessions.ends)
}

// TestACleanStartGetsASessionOfItsOwn [v3.1.1 MQTT-3.1.2-6, v5 MQTT-3.1.2-4].
func TestACleanStartGetsASessionOfItsOwn(t *testing.T) {
	d := newDesk(stagetest.New(t))
	d.start(t, "a", false)
	d.sessions.take()
	d.start(t, "a", true)
	require.ElementsMatch(t, []string{"session/a destroy for taken_over", "session/a attach epoch 2"}, d.sessions.take())
}

func TestAboveTheMaximumOnlyKnownClientsGetASession(t *testing.T) {
	d := newDesk(stagetest.New(t))
	for _, id := range []string{"a", "b", "c"} {
		d.start(t, id, false)
	}
	d.sessions.take()
	got := d.start(t, "d", false).Take()
	require.Len(t, got, 1)
	require.Equal(t, packet.QuotaExceeded, got[0].(*cast.SessionStarted).Code)
	d.start(t, "a", false)
	require.Equal(t, []string{"session/a attach epoch 5"}, d.sessions.take())
}

func TestASessionKeepsItsConnectionWhenTheNextCouldNotBeAttached(t *testing.T) {
	d := newDesk(stagetest.New(t))
	d.start(t, "a", false)
	own := d.sessions.newest["session/a"]
	not := func(epoch, before uint64) {
		d.sessions.take()
		d.w.Tell(d.sm, &cast.NotAttached{ClientID: "a", Session: own, Epoch: epoch, Before: before})
	}
	d.start(t, "a", false)
	not(1, 0)
	require.Empty(t, d.sessions.take(), "one has taken it up since")
	not(2, 1)
	require.Empty(t, d.sessions.take())
	d.w.Tell(d.sm, &cast.Expired{ClientID: "a", Session: own, Epoch: 1})
	require.Equal(t, []string{"session/a destroy for normal"}, d.sessions.take(), "its end is that of the connection it has")
	d.start(t, "a", false)
	own = d.sessions.newest["session/a"]
	not(3, 0)
	require.Equal(t, []string{"session/a destroy for normal"}, d.sessions.take(), "it never had one")
}

// TestASessionEndsOnlyIfNobodyHasTakenItUpSince: emqttd locked a client out that
// came back while its session was on its way out.
func TestASessionEndsOnlyIfNobodyHasTakenItUpSince(t *testing.T) {
	d := newDesk(stagetest.New(t))
	d.start(t, "a", false)
	d.start(t, "a", false)
	d.sessions.take()
	own := d.sessions.newest["session/a"]
	for name, word := range map[string]*cast.Expired{
		"of the connection before": {ClientID: "a", Session: own, Epoch: 1},
		"of another session":       {ClientID: "a", Session: d.w.Probe("other").Cell, Epoch: 2},
		"of an unknown client id":  {ClientID: "b", Session: own, Epoch: 2},
	} {
		d.w.Tell(d.sm, word)
		require.Empty(t, d.sessions.take(), name)
	}
	d.w.Tell(d.sm, &cast.Expired{ClientID: "a", Session: own, Epoch: 2})
	require.Equal(t, []string{"session/a destroy for normal"}, d.sessions.take())
	d.start(t, "a", false)
	require.NotSame(t, own, d.sessions.newest["session/a"], "the client id is free for a new one")
}

func TestAKickEndsConnectionAndSession(t *testing.T) {
	d := newDesk(stagetest.New(t))
	d.start(t, "a", false)
	d.sessions.take()
	sm.Kick(d.env, "a")
	sm.Kick(d.env, "nobody")
	d.w.Drain()
	require.Equal(t, []string{"session/a destroy for kicked"}, d.sessions.take())
}

func TestACrashAtAnyStepBindsEveryConnectionOnce(t *testing.T) {
	stagetest.AtEveryStep(t, "sm", func(t *testing.T, w *stagetest.World) []string {
		d := newDesk(w)
		d.sessions.epoch = false // a decision that is made again may leave a gap
		d.start(t, "a", false)
		d.start(t, "b", false)
		d.start(t, "a", true)
		d.start(t, "c", false)
		refused := d.start(t, "d", false).Take()
		sm.Kick(d.env, "b")
		w.Drain()
		got := d.sessions.take()
		for _, m := range refused {
			got = append(got, m.(*cast.SessionStarted).Code.String())
		}
		return append(got, fmt.Sprint(d.env.Metrics.Sessions.Load()))
	})
}

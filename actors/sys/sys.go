// SPDX-License-Identifier: Apache-2.0

package sys

import (
	"time"

	"emqttd/actors/cast"
	"emqttd/actors/session"
	"emqttd/supervisor/cell"
	"emqttd/supervisor/mailbox"
)

// About is what the broker is, for as long as it runs.
type About struct {
	Version     string // "1.0.0"
	Description string // of the program, emqttd's sysdescr
	Started     int64  // nanoseconds since the Unix epoch
}

// Settings are what a reload can change.
type Settings struct {
	Interval  time.Duration // between reports; 0: none. The configuration sees to at least a second
	Presence  bool          // clients that come and go
	Mosquitto bool          // $SYS/broker/... beside emqttd's names
	Monitor   Monitor
}

// Memory is what outlives the incarnations of the actor.
type Memory struct {
	env     *cast.Env
	pub     *session.Publisher
	figures Figures
	about   About
	timer   cell.TimerFired // the next report
	look    cell.TimerFired // the next look of the monitor
	probe   []Probe
	state   state
}

// state changes at a commit only.
type state struct {
	set   Settings
	most  values // the highest that were seen, at a report or when a client came
	loads loads

	watched []watched // by probe; immutable, a look makes new ones
}

const (
	timerReport uint8 = iota
	timerLook
)

var slot = cell.NewSlot[state]()

// NewMemory makes the memory of the actor, of which a broker has one.
func NewMemory(pub *session.Publisher, figures Figures, about About, set Settings) *Memory {
	m := &Memory{env: pub.Env, pub: pub, figures: figures, about: about, state: state{set: set}}
	m.probe = m.probes()
	return m
}

// Kind makes the actor kind of the one cell of m.
func Kind(m *Memory) *cell.Kind {
	return &cell.Kind{Name: "sys", Module: "emqttd_broker", Init: true, New: func(c *cell.Cell) cell.Stage {
		cell.InitTimer(&m.timer, c, timerReport)
		cell.InitTimer(&m.look, c, timerLook)
		return &service{m}
	}}
}

// configure replaces the settings.
type configure struct {
	mailbox.Link
	set Settings
}

// Configure gives the actor c other settings; a report follows at once.
func Configure(c *cell.Cell, set Settings) { c.Push(&configure{set: set}) }

type service struct{ *Memory }

// Receive implements cell.Stage.
func (s *service) Receive(ctx *cell.Context) {
	switch msg := ctx.Message().(type) {
	case *cell.Started:
		s.started(ctx)
	case *cast.ClientConnected:
		s.connected(ctx, msg)
	case *cast.ClientDisconnected:
		s.disconnected(ctx, msg)
	case *configure:
		slot.Edit(ctx, &s.state).set = msg.set
		ctx.Arm(s.timer.Timer(), ctx.Now())
		s.watch(ctx, msg.set.Monitor)
	case *announce:
		s.announce(ctx, msg.alarm)
	case *broken:
		s.broken(ctx)
	case *cell.TimerFired:
		if msg.Key == timerLook {
			s.monitor(ctx)
		} else {
			s.report(ctx)
		}
	case *cell.Poison:
		s.poison(ctx, msg)
	case *cell.Skip:
	default:
		s.env.Log.Warn().Str("actor", ctx.Self().Name()).Type("message", msg).Msg("unexpected message")
	}
}

// started asks for the first report. A later incarnation finds the timer as the
// one before it has left it.
func (s *service) started(ctx *cell.Context) {
	if s.timer.Timer().Deadline() == 0 {
		ctx.Arm(s.timer.Timer(), ctx.Now())
		s.watch(ctx, slot.See(ctx, &s.state).set.Monitor)
	}
}

// watch sets the time of the monitor's next look.
func (s *service) watch(ctx *cell.Context, m Monitor) {
	if m.Interval > 0 {
		ctx.Arm(s.look.Timer(), ctx.Now()+int64(m.Interval))
	} else {
		ctx.Clear(s.look.Timer())
	}
}

// report publishes everything that has its time. Without an interval it only
// takes away what an earlier setting has left retained.
func (s *service) report(ctx *cell.Context) {
	st := slot.Edit(ctx, &s.state)
	now := s.figures.read()
	st.most.raise(now)
	st.loads.update(ctx.Now(), s.env.Metrics)
	on := st.set.Interval > 0
	out := &outlet{ctx: ctx, pub: s.pub}
	s.emqttd(out, on, now, st)
	s.mosquitto(out, on && st.set.Mosquitto, now, st)
	s.next(ctx, st)
}

func (s *service) next(ctx *cell.Context, st *state) {
	if st.set.Interval > 0 {
		ctx.Arm(s.timer.Timer(), ctx.Now()+int64(st.set.Interval))
	}
}

// poison goes on without what crashed the actor twice; a report that is left
// out must not be the last.
func (s *service) poison(ctx *cell.Context, p *cell.Poison) {
	st := slot.See(ctx, &s.state)
	switch m := p.Message.(type) {
	case *cell.Started:
		s.next(ctx, st)
		s.watch(ctx, st.set.Monitor)
	case *cell.TimerFired:
		if m.Key == timerLook {
			s.watch(ctx, st.set.Monitor)
		} else {
			s.next(ctx, st)
		}
	}
}

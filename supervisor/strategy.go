// SPDX-License-Identifier: Apache-2.0

package supervisor

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/rs/zerolog"

	"emqttd/supervisor/cell"
)

// HandleFailure implements actor.SupervisorStrategy. It never resumes an actor
// and never lets one escape upward, whose suspended mailbox nobody would open
// again.
func (s *Supervisor) HandleFailure(_ *actor.ActorSystem, sup actor.Supervisor, who *actor.PID, _ *actor.RestartStatistics, reason, message any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	crash, ok := reason.(*cell.Crash)
	if !ok {
		panic("supervisor: failure without a crash")
	}
	Report(crash, s.log)
	owner := crash.Cell.Owner()
	switch {
	case crash.Restart:
		if owner != nil {
			owner.Abort(crash.Cell, crash)
		}
		s.later(crash)
		return
	case owner != nil:
		owner.Crashed(crash)
		sup.RestartChildren(who)
		return
	case !crash.Poison && s.tooMany(s.cell.Group().Clock().Now()):
		s.escalate(sup, crash)
		return
	}
	switch s.opts.Strategy {
	case OneForAll:
		sup.RestartChildren(s.pids(0)...)
	case RestForOne:
		sup.RestartChildren(s.pids(max(0, s.index(crash.Cell)))...)
	default:
		sup.RestartChildren(who)
	}
}

// The back-off of a child whose incarnation can not be made: it doubles with
// each failure in a row.
const (
	minBackoff = 10 * time.Millisecond
	maxBackoff = 5 * time.Second
)

func backoff(failed int) time.Duration {
	return min(minBackoff<<min(failed-1, 20), maxBackoff)
}

// later notes when to restart a child whose restart has crashed. Its mailbox
// waits meanwhile, and Ready is false if it is a service.
func (s *Supervisor) later(crash *cell.Crash) {
	if !s.roster.has(crash.Cell) && s.index(crash.Cell) < 0 {
		return
	}
	g := s.cell.Group()
	at := g.Now() + int64(backoff(crash.Failed))
	s.failing[crash.Cell] = at
	if d := s.retry.Timer().Deadline(); d == 0 || at < d {
		g.Arm(s.retry.Timer(), at)
	}
}

// tryAgain restarts the children whose time has come.
func (s *Supervisor) tryAgain(ctx *cell.Context) {
	next := int64(0)
	for c, at := range s.failing {
		switch {
		case at > ctx.Now():
			if next == 0 || at < next {
				next = at
			}
			continue
		case c.Life() == cell.Failing && !s.out(c):
			ctx.Actor().(actor.Supervisor).RestartChildren(c.PID())
		}
		delete(s.failing, c)
	}
	if next != 0 {
		ctx.Arm(s.retry.Timer(), next)
	}
}

// out reports whether a child has stopped for good.
func (s *Supervisor) out(c *cell.Cell) bool {
	ch := s.roster.known(c)
	if i := s.index(c); i >= 0 {
		ch = s.children[i]
	}
	return ch != nil && ch.out
}

// index is the place of a child in the order of start, -1: it is none of those that
// were there from the start.
func (s *Supervisor) index(c *cell.Cell) int {
	for i, ch := range s.children {
		if ch.Cell == c {
			return i
		}
	}
	return -1
}

func (s *Supervisor) pids(from int) []*actor.PID {
	var out []*actor.PID
	for _, ch := range s.children[from:] {
		if pid := ch.Cell.PID(); pid != nil {
			out = append(out, pid)
		}
	}
	return out
}

// tooMany counts a crash and reports whether the intensity is exceeded. What is
// out of the window is forgotten, which protoactor's RestartStatistics never do.
func (s *Supervisor) tooMany(now int64) bool {
	s.crashes = append(within(s.crashes, now-int64(s.opts.Within)), now)
	if len(s.crashes) <= s.opts.MaxRestarts {
		return false
	}
	s.crashes = s.crashes[:0]
	return true
}

// within is the times after from; they are in the memory of times.
func within(times []int64, from int64) []int64 {
	keep := times[:0]
	for _, at := range times {
		if at > from {
			keep = append(keep, at)
		}
	}
	return keep
}

// escalate gives up: the supervisor's own supervisor restarts it with all its
// children; the root's ends the process in order.
func (s *Supervisor) escalate(sup actor.Supervisor, crash *cell.Crash) {
	s.log.Error().Str("actor", s.name).Str("child", crash.Cell.Name()).Int("max_restarts", s.opts.MaxRestarts).
		Dur("within", s.opts.Within).Msg("restart intensity exceeded")
	if s.giveUp != nil {
		s.giveUp(crash)
		return
	}
	own := *crash
	own.Cell = s.cell
	sup.EscalateFailure(&own, s.cell)
}

// Report writes the one log line of a crash.
func Report(crash *cell.Crash, log zerolog.Logger) {
	e := log.Error()
	if !e.Enabled() {
		return
	}
	e.Str("actor", crash.Cell.Name()).Str("kind", crash.Cell.Kind().Name).Str("phase", crash.Phase.String()).
		Bool("poison", crash.Poison).Bool("restart", crash.Restart).Type("message_type", crash.Message).Str("reason", crash.Text).
		Bytes("stack", crash.Stack).Msg("actor crashed")
}

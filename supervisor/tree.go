// SPDX-License-Identifier: Apache-2.0

package supervisor

import (
	"log/slog"
	"slices"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/rs/zerolog"

	"emqttd/supervisor/cell"
)

// System makes the actor system of one broker. Proto.Actor's own log goes
// through log; its notice of each recovered panic is left to Report.
func System(log zerolog.Logger) *actor.ActorSystem {
	quiet := log.Level(max(log.GetLevel(), zerolog.WarnLevel)).With().Str("lib", "proto.actor").Logger()
	s := actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger {
		return slog.New(zerolog.NewSlogHandler(quiet))
	}))
	shrink(s.ProcessRegistry.LocalPIDs)
	return s
}

// shrink makes one table of the registry's 1024. Each has 32 maps of its own, which
// take memory for eight entries when they get the first and never give it back: 8 MB
// for all that ever were. It is called before anybody else knows the system.
func shrink(r *actor.SliceMap) {
	all := r.LocalPIDs
	r.LocalPIDs = slices.Clone(all[:1])
	for _, table := range all[1:] {
		if table.IsEmpty() {
			continue // Items starts 32 goroutines
		}
		for name, process := range table.Items() {
			r.LocalPIDs[0].Set(name, process)
		}
	}
}

// StartRoot starts the top of a supervision tree. When the root gives up, giveUp
// is called instead of a restart: the process is to end in order.
func StartRoot(system *actor.ActorSystem, root *Supervisor, giveUp func(*cell.Crash)) error {
	root.giveUp = giveUp
	return cell.NewNursery(root).Guarded(&guardian{root: root}).Spawn(system.Root, nil, root.cell, root.name)
}

// guardian judges the crashes of the root itself. Without one protoactor would
// count them, and after the eleventh within ten seconds stop the root, and with
// it every actor, without a word.
type guardian struct {
	root    *Supervisor
	crashes []int64
}

// HandleFailure implements actor.SupervisorStrategy. It must not panic: nobody is
// left to catch it.
func (g *guardian) HandleFailure(_ *actor.ActorSystem, sup actor.Supervisor, who *actor.PID, _ *actor.RestartStatistics, reason, _ any) {
	crash, ok := reason.(*cell.Crash)
	if ok {
		Report(crash, g.root.log)
		now := g.root.cell.Group().Clock().Now()
		g.crashes = append(within(g.crashes, now-int64(g.root.opts.Within)), now)
		if len(g.crashes) > g.root.opts.MaxRestarts {
			g.crashes = g.crashes[:0]
			g.root.giveUp(crash)
		}
	}
	sup.RestartChildren(who)
}

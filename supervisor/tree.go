// SPDX-License-Identifier: Apache-2.0

package supervisor

import (
	"log/slog"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/rs/zerolog"

	"emqttd/supervisor/cell"
)

// System makes the actor system of one broker. Proto.Actor's own log goes
// through log; its notice of each recovered panic is left to Report.
func System(log zerolog.Logger) *actor.ActorSystem {
	quiet := log.Level(max(log.GetLevel(), zerolog.WarnLevel)).With().Str("lib", "proto.actor").Logger()
	return actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger {
		return slog.New(zerolog.NewSlogHandler(quiet))
	}))
}

// StartRoot starts the top of a supervision tree. When the root gives up, giveUp
// is called instead of a restart: the process is to end in order.
func StartRoot(system *actor.ActorSystem, root *Supervisor, giveUp func(*cell.Crash)) error {
	root.giveUp = giveUp
	return cell.NewNursery(root).Spawn(system.Root, nil, root.cell, root.name)
}

// SPDX-License-Identifier: Apache-2.0

package cast

import (
	"hash/maphash"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"emqttd/actors/alarm"
	"emqttd/actors/metrics"
	"emqttd/actors/trace"
	"emqttd/protocol/topic"
	"emqttd/supervisor/cell"
)

// Limits are the bounds and offers of the protocol, one immutable value that a
// reload replaces. The configuration says what each is for and what happens at
// it.
type Limits struct {
	MaxPacketSize, MaxClientID                int
	Topics                                    topic.Limits
	MatchSteps                                int
	MaxFilters, MaxSubscriptions              int
	MaxUserProperties, MaxPropertiesSize      int
	MaxQoS                                    uint8
	Retain, Wildcard, Shared, SubscriptionIDs bool
	SharedStrategy                            string
	MaxKeepAlive                              time.Duration
	KeepAliveFactor                           float64
	AliasIn, AliasOut                         int
	ReceiveMaximum                            int
	ConnectTimeout                            time.Duration
	OutHigh, OutLow                           int64
	StrictV31ClientID                         bool
	RateMessages, RateMessagesBurst           int
	RateBytes, RateBytesBurst                 int64

	MaxSessions       int
	MaxExpiry         time.Duration
	V3Expiry          time.Duration
	MaxWillDelay      time.Duration
	MaxInflight       int
	MaxQueued         int
	MaxQueuedBytes    int
	QueueWindow       int // of the queue in memory, of a session whose store has the rest
	QueueQoS0         bool
	MaxAwaitingRel    int
	MaxDead           int // dead letters of one session, and their bytes
	MaxDeadBytes      int
	RetainedCount     int
	RetainedPayload   int
	RetainedExpiry    time.Duration
	RetainedBatch     int
	DeliveriesPerTurn int
	HexBytes          int   // of malformed input, in a log line
	StoreBytes        int64 // queued and retained, over all sessions

	PoisonCount  int // poisonings of one client id within PoisonWindow; one more bans it for PoisonBan
	PoisonWindow time.Duration
	PoisonBan    time.Duration
}

// Env is what the actors of one broker share: the services by name, so that
// nobody holds a PID, and the limits in force.
type Env struct {
	Node    string
	Log     zerolog.Logger
	Metrics *metrics.Metrics
	Trace   *trace.Tracer // nil is one that is off
	Alarms  *alarm.Table  // nil takes none
	Slow    *metrics.Slow
	Topics  *metrics.Topics
	limits  atomic.Pointer[Limits]

	SM         []*cell.Cell // pool, by client id
	Router     []*cell.Cell // pool, by client id
	Retainer   *cell.Cell
	Store      *cell.Cell
	Sys        *cell.Cell
	SessionSup []*cell.Cell // session supervisors, by session serial
	// Directory is told of clients and sessions that come and go.
	Directory Directory

	seed maphash.Seed
}

// Directory is who is connected, for whoever asks.
type Directory interface {
	cell.Acceptor
	// Client is the connection of a client id that was accepted last, if it is
	// still there.
	Client(id string) (*Client, bool)
}

// NewEnv makes an environment without services.
func NewEnv(node string, log zerolog.Logger, m *metrics.Metrics, l *Limits) *Env {
	e := &Env{Node: node, Log: log, Metrics: m, Directory: nowhere{}, seed: maphash.MakeSeed()}
	e.limits.Store(l)
	return e
}

// Limits are the limits in force.
func (e *Env) Limits() *Limits { return e.limits.Load() }

// SetLimits replaces the limits; what is under way keeps what it was admitted
// under.
func (e *Env) SetLimits(l *Limits) { e.limits.Store(l) }

// Pick is the worker of a pool that key belongs to: gproc_pool hash.
func (e *Env) Pick(pool []*cell.Cell, key string) *cell.Cell {
	if len(pool) == 1 {
		return pool[0]
	}
	return pool[maphash.String(e.seed, key)%uint64(len(pool))]
}

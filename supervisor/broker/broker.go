// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"errors"
	"fmt"
	"math"
	"net"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"emqttd/actors/alarm"
	"emqttd/actors/cast"
	"emqttd/actors/cm"
	"emqttd/actors/metrics"
	"emqttd/actors/protocol"
	"emqttd/actors/retainer"
	"emqttd/actors/router"
	"emqttd/actors/session"
	"emqttd/actors/sm"
	"emqttd/actors/store"
	"emqttd/actors/store/memory"
	"emqttd/actors/store/pebble"
	"emqttd/actors/sys"
	"emqttd/actors/trace"
	"emqttd/actors/wsclient"
	"emqttd/actors/wsloop"
	"emqttd/listeners"
	"emqttd/listeners/api"
	"emqttd/listeners/crashlab"
	"emqttd/listeners/microscope"
	"emqttd/listeners/tls"
	"emqttd/protocol/message"
	"emqttd/supervisor"
	"emqttd/supervisor/broker/config"
	"emqttd/supervisor/cell"
	"emqttd/supervisor/group"
)

// Broker is a running broker.
type Broker struct {
	cfg     *config.Config
	log     zerolog.Logger
	env     *cast.Env
	pub     *session.Publisher
	clock   group.Clock
	loops   []*listeners.Loop
	bounds  *atomic.Pointer[listeners.Bounds] // of the loops
	manual  bool                              // the loops are stepped by the owner, see Simulate
	seed    uint64
	ports   []*port
	local   *port // for Dial
	root    *supervisor.Supervisor
	pool    *group.Pool
	stalls  *group.Watch
	gates   atomic.Pointer[gates]
	engine  store.Engine
	room    func() bool
	epochs  atomic.Uint64
	numbers atomic.Uint64
	kinds   kinds
	sms     []*sm.Memory
	started time.Time

	directory *cm.Directory
	dataDir   string // where what belongs to this broker is kept; "": nowhere
	api       atomic.Pointer[api.Server]
	dashTLS   *tls.Server // nil: the dashboard speaks plain HTTP
	looking   struct {    // at the files of certificates
		sync.WaitGroup
		stop chan struct{} // nil: nobody looks
	}
	expiries expiries
	audit    *api.Audit
	scope    *microscope.Microscope // nil: not served
	watches  watches                // who looks at the way of packets through the actors
	lab      atomic.Pointer[crashlab.Lab]
	origins  atomic.Pointer[config.Origins]
	sampler  sampler
	reload   atomic.Pointer[func() ([]string, error)]
	banFile  sync.Mutex  // of those who write it
	bansOwed atomic.Bool // a ban was made and is not in the file

	loaded chan struct{} // closed when the retained messages are read; nil: they were at once
	unload atomic.Bool   // stop reading them

	mu     sync.Mutex
	closed bool
	failed chan error
}

// kinds are the actor kinds of a broker, with their counters.
type kinds struct{ wsLoop, wsClient, protocol, session, sm, router, retainer, store, sys *cell.Kind }

// All calls yield for every kind.
func (k *kinds) all(yield func(*cell.Kind) bool) {
	for _, k := range []*cell.Kind{k.wsLoop, k.wsClient, k.protocol, k.session, k.sm, k.router, k.retainer, k.store, k.sys} {
		if !yield(k) {
			return
		}
	}
}

// Start starts a broker. The configuration has been validated and is not changed
// any more; the log is the broker's.
func Start(cfg *config.Config, log zerolog.Logger) (*Broker, error) {
	return StartWith(cfg, log, nil)
}

// StartWith is Start with a store engine of the caller's, which the broker closes
// when it stops; nil: the one that the configuration names.
func StartWith(cfg *config.Config, log zerolog.Logger, engine store.Engine) (*Broker, error) {
	b := &Broker{cfg: cfg, log: log, engine: engine, clock: group.Wall{}, failed: make(chan error, 1), started: time.Now()}
	b.pool = group.NewPool(workers(cfg), cfg.Runtime.WorkerQueue)
	g, err := newGates(cfg, b.pool)
	if err != nil {
		b.pool.Close()
		return nil, err
	}
	b.gates.Store(g)
	g.poisonings.Banned = b.banned
	if err := b.build(); err != nil {
		b.Close()
		return nil, err
	}
	for _, l := range b.loops {
		l.Start()
	}
	b.stalls = b.newWatch()
	b.stalls.Start()
	for _, step := range []func() error{b.makeLocal, b.makeLab, b.listen, b.serveDashboard, b.watchCertificates} {
		if err := step(); err != nil {
			b.Close()
			return nil, err
		}
	}
	return b, nil
}

func workers(cfg *config.Config) int {
	if cfg.Runtime.Workers > 0 {
		return cfg.Runtime.Workers
	}
	return 2 * runtime.GOMAXPROCS(0)
}

// maxCrashes is how many crashes a connection's actors may have; see intensity.
func maxCrashes(cfg *config.Config) int {
	if cfg.Chaos.Enabled {
		return math.MaxInt
	}
	return cfg.Runtime.ActorMaxCrashes
}

func boundsOf(cfg *config.Config) *listeners.Bounds {
	return &listeners.Bounds{HandshakeTimeout: cfg.MQTT.HandshakeTimeout, WriteTimeout: cfg.MQTT.WriteTimeout, MaxCrashes: maxCrashes(cfg),
		CrashWindow: cfg.Runtime.ActorCrashWindow}
}

// loopCount is how many event loops there are: one up to two cores, since
// crossing from loop to loop is what costs at low rates; half the cores above.
func loopCount(cfg *config.Config) int {
	if cfg.Runtime.Loops > 0 {
		return cfg.Runtime.Loops
	}
	return max(1, runtime.GOMAXPROCS(0)/2)
}

// build makes loops, services and the supervision tree.
func (b *Broker) build() error {
	cfg := b.cfg
	b.env = cast.NewEnv(cfg.Node.Name, b.log, new(metrics.Metrics), limitsOf(cfg))
	b.directory = cm.NewDirectory(b.watch)
	b.env.Directory = b.directory
	opts := &listeners.Options{Env: b.env, ReadBuffer: int(cfg.Runtime.ReadBuffer), Shutdown: cfg.Runtime.ChildShutdown,
		Portable: cfg.Runtime.Engine == config.EngineGoroutine, TLS: tls.NewPool(1024, workers(cfg)), Clock: b.clock, Log: b.log,
		Actors: b.actors}
	opts.Bounds.Store(boundsOf(cfg))
	b.bounds = &opts.Bounds
	for i := range loopCount(cfg) {
		l, err := b.newLoop(i, opts)
		if err != nil {
			return fmt.Errorf("event loop: %w", err)
		}
		b.loops = append(b.loops, l)
	}
	if err := b.open(); err != nil {
		return err
	}
	b.env.Trace = trace.New(traceBounds(cfg, b.dataFile("trace")), b.pool.Try)
	b.env.Alarms = alarm.New(alarm.Bounds{MaxActive: cfg.Monitor.MaxAlarms, History: cfg.Monitor.History}, b.alarmed)
	b.env.Slow = metrics.NewSlow(cfg.SlowSubscribers.Threshold, cfg.SlowSubscribers.Top, cfg.SlowSubscribers.Window)
	b.env.Topics = metrics.NewTopics(cfg.TopicMetrics.MaxTopics)
	if err := b.loadBans(); err != nil {
		return err
	}
	b.services()
	if err := b.restore(); err != nil {
		return err
	}
	system := supervisor.System(b.log)
	if err := supervisor.StartRoot(system, b.root, b.giveUp); err != nil {
		return fmt.Errorf("supervision tree: %w", err)
	}
	return nil
}

// services makes the service actors; all of them live on the first loop, so
// that a broker with one loop crosses no thread.
func (b *Broker) services() {
	g, env := b.loops[0].Group(), b.env
	lim := env.Limits()
	table, index := b.tables(lim.Topics.Levels)
	b.kinds.store = store.Kind(b.engine, b.storeFailed, b.log)
	env.Store = cell.New(b.kinds.store, "store", g, nil)
	b.pub = &session.Publisher{Env: env, Table: table, Log: store.NewLog(b.engine.Last(), env.Store, index), Retained: index,
		Room: b.room, Dead: session.NewGraveyard(), Reader: b.reader()}
	env.Retainer = retainer.New(index, env, g)
	b.kinds.retainer = env.Retainer.Kind()
	b.kinds.router = router.Kind(table, env, b.pub.Log)
	env.Router = []*cell.Cell{cell.New(b.kinds.router, "router/0", g, nil)}
	set := settingsOf(b.cfg)
	if b.manual {
		set.Monitor.Interval = 0 // what this process measures is no part of a simulation
	}
	figures := sys.FiguresOf(b.pub)
	figures.Listeners, figures.Chaos = b.fullest, b.broken
	b.kinds.sys = sys.Kind(sys.NewMemory(b.pub, figures, sys.About{Version: Version(), Description: description,
		Started: b.started.UnixNano()}, set))
	env.Sys = cell.New(b.kinds.sys, "sys", g, nil)
	b.kinds.session = session.Kind(env)
	mem := sm.NewMemory(env, b.pub, b.kinds.session, &b.epochs, &b.numbers)
	b.sms = append(b.sms, mem)
	b.kinds.sm = sm.Kind(mem)
	env.SM = []*cell.Cell{cell.New(b.kinds.sm, "sm/0", g, nil)}
	b.kinds.wsLoop, b.kinds.wsClient, b.kinds.protocol = wsloop.Kind(env), wsclient.Kind(env), protocol.Kind(env, b.pub)
	for _, k := range []*cell.Kind{b.kinds.wsLoop, b.kinds.wsClient, b.kinds.protocol, b.kinds.session} {
		k.Hibernate = b.cfg.Runtime.HibernateAfter
	}
	b.root = b.tree(g)
}

// open opens the store that the configuration names, unless the caller brought
// one. Epochs begin with the number of the start, so that they grow over restarts
// without being written for every connection.
func (b *Broker) open() error {
	switch {
	case b.engine != nil:
	case b.cfg.Store.Engine == config.StoreMemory:
		b.engine = memory.New()
	default:
		e, err := pebble.Open(b.cfg.Node.DataDir, pebble.Options{Fatal: b.storeFailed, MinFree: uint64(b.cfg.Store.MinFreeBytes), Log: b.log,
			Observe: b.synced,
			Kept:    func(ms []*message.Message) { b.pub.Retained.Stored(ms) }})
		if err != nil {
			return fmt.Errorf("store: %w", err)
		}
		b.engine, b.room, b.dataDir = e, e.Room, b.cfg.Node.DataDir
		b.epochs.Store(e.Boot() << 32)
	}
	return nil
}

// intensity is OTP's as emqttd set it for its managers; where faults may be
// injected they are not counted, since a run has more of them than any service
// would be allowed otherwise.
func (b *Broker) intensity(s supervisor.Strategy, children ...supervisor.Child) supervisor.Options {
	most := 10
	if b.cfg.Chaos.Enabled {
		most = math.MaxInt
	}
	return supervisor.Options{Strategy: s, MaxRestarts: most, Within: time.Hour, Children: children}
}

// actors gives a connection its actors; it runs on the connection's loop.
func (b *Broker) actors(c *cast.Conn, owner cell.Owner, g *group.Group, l *listeners.Listener) {
	wsloop.Init(b.kinds.wsLoop, c, owner, g, b.env.Limits().MaxPacketSize)
	wsclient.Init(b.kinds.wsClient, c, owner, g)
	protocol.Init(b.kinds.protocol, c, owner, g, l.Data.(*port).gate.Load(), g.Now()+int64(b.env.Limits().ConnectTimeout))
}

// Version is the version of the module that the program was built from.
func Version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "devel"
}

func settingsOf(c *config.Config) sys.Settings {
	m := c.Monitor
	return sys.Settings{Interval: c.Sys.Interval, Presence: c.Sys.Presence, Mosquitto: c.Sys.MosquittoNames,
		Monitor: sys.Monitor{Interval: m.Interval, GCPause: m.GCPause, Schedule: m.ScheduleLatency, Mailbox: m.Mailbox,
			MemoryPercent: m.MemoryPercent, Calm: m.Calm}}
}

// ErrStore is wrapped by what Failed delivers when the store can write no longer:
// nothing is acknowledged after that, and the next start recovers.
var ErrStore = errors.New("store")

func (b *Broker) storeFailed(err error) { b.fail(fmt.Errorf("%w: %w", ErrStore, err)) }

// giveUp is called when the root's restart intensity is exceeded.
func (b *Broker) giveUp(crash *cell.Crash) {
	b.fail(fmt.Errorf("supervision tree gave up: %s: %v", crash.Cell.Name(), crash.Reason))
}

func (b *Broker) fail(err error) {
	select {
	case b.failed <- err:
	default:
	}
}

// Failed delivers the error for which the broker can not go on; whoever runs it
// closes it and ends the process with a failure.
func (b *Broker) Failed() <-chan error { return b.failed }

// Metrics are the broker's counters.
func (b *Broker) Metrics() *metrics.Metrics { return b.env.Metrics }

// Kinds calls yield for every kind of actor, with its counters.
func (b *Broker) Kinds(yield func(*cell.Kind) bool) { b.kinds.all(yield) }

// Addr is the bound address of a listener by its key, such as
// "listeners.tcp.default" or "dashboard"; nil when there is none.
func (b *Broker) Addr(key string) net.Addr {
	if s := b.api.Load(); s != nil && key == dashboardKey {
		return s.Addr()
	}
	for _, p := range b.ports {
		if p.key == key && !p.attached {
			return p.core.Addr()
		}
	}
	return nil
}

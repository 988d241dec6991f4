// SPDX-License-Identifier: Apache-2.0

package config

import (
	"time"

	"emqttd/actors/store"
)

// Config is the whole configuration of a broker, one field per section of the
// YAML file. The comment of a field below is also the comment that
// --print-config writes above its key, so it speaks to the operator: what the
// value means, its unit, and what happens at the bound.
//
// A *Config is not changed once the broker has it; a reload makes a new one.
type Config struct {
	// Who this broker is and where it keeps its files.
	Node Node `yaml:"node"`

	// Event loops, worker pool and memory of the process.
	Runtime Runtime `yaml:"runtime"`

	// What is logged, and how it looks.
	Log Log `yaml:"log"`

	// Where clients connect: kind, then a name of your choice. A further name
	// is a further listener. An empty bind turns a listener off.
	Listeners Listeners `yaml:"listeners"`

	// Where people and programs look after the broker: the page, REST, metrics.
	Dashboard Dashboard `yaml:"dashboard"`

	// What a client may send and what it is offered.
	MQTT MQTT `yaml:"mqtt"`

	// What is kept for a client between its connections.
	Session Session `yaml:"session"`

	// Retained messages.
	Retained Retained `yaml:"retained"`

	// Where sessions, queued and retained messages live.
	Store Store `yaml:"store"`

	// Who may connect.
	Auth Auth `yaml:"auth"`

	// Who may publish and subscribe to what.
	ACL ACL `yaml:"acl"`

	// Who is kept out, by hand or for sending what crashes an actor.
	Ban Ban `yaml:"ban"`

	// Topics under $SYS.
	Sys Sys `yaml:"sys"`

	// Traces: the way of one client's packets, one topic's messages.
	Trace Trace `yaml:"trace"`

	// When the broker raises alarms about itself.
	Monitor Monitor `yaml:"monitor"`

	// Subscribers that get messages late.
	SlowSubscribers SlowSubscribers `yaml:"slow_subscribers"`

	// Messages counted by topic.
	TopicMetrics TopicMetrics `yaml:"topic_metrics"`

	// Crash actors on purpose, to see that no client notices.
	Chaos Chaos `yaml:"chaos"`
}

// Node names the broker.
type Node struct {
	// Name of this broker: a level of its $SYS topics, and in every log line.
	// No '/', '+', '#' or blank.
	Name string `yaml:"name" max:"255"`

	// Directory of everything the broker writes. Created if it is missing; a
	// relative path starts at the working directory.
	DataDir string `yaml:"data_dir" max:"4096"`
}

// Runtime sizes what the whole process shares.
type Runtime struct {
	// Event loops. 0: by cores (one loop up to two cores).
	Loops int `yaml:"loops" min:"0" max:"256"`

	// What reads the sockets: epoll (Linux), goroutine (one per connection, any
	// system), auto (epoll where there is one).
	Engine Engine `yaml:"engine"`

	// Soft memory limit of the Go runtime (GOMEMLIMIT). 0: the environment's
	// GOMEMLIMIT, or else nine tenths of the control group's limit, if it has one.
	GoMemLimit Bytes `yaml:"gomemlimit" min:"0"`

	// Goroutines for what may block: password hashing, TLS handshakes, files.
	// 0: twice the number of cores.
	Workers int `yaml:"workers" min:"0" max:"4096"`

	// Jobs that wait for a worker. A CONNECT above it is refused with 0x89
	// (return code 3 before MQTT 5).
	WorkerQueue int `yaml:"worker_queue" min:"1" max:"1000000"`

	// Read buffer of a loop, and so the most that is read from one connection
	// in a turn. Shared by all its connections.
	ReadBuffer Bytes `yaml:"read_buffer" min:"4KiB" max:"16MiB"`

	// Crashes that the actors of one connection or session may have within
	// actor_crash_window. One more closes that connection, and no other.
	ActorMaxCrashes int `yaml:"actor_max_crashes" min:"1" max:"1000000" reload:"yes"`

	// See actor_max_crashes.
	ActorCrashWindow time.Duration `yaml:"actor_crash_window" min:"1ms" max:"24h" reload:"yes"`

	// How long an actor of a connection or session may have nothing to do before
	// it hibernates: its cell stays, which costs a third, and the next message
	// brings the actor back within microseconds. 0: none does.
	HibernateAfter time.Duration `yaml:"hibernate_after" min:"0s" max:"24h"`

	// How long an actor may take over one message. One that does not return
	// within this time is reported with its stack; other connections of its
	// loop go on without it, its own is closed.
	StallAfter time.Duration `yaml:"stall_after" min:"100ms" max:"1h"`

	// How often the files with certificates are looked at. Those that have changed
	// are read; if one is broken, the certificate from before stays in use and an
	// alarm is raised. 0: on reload only.
	CertificateCheck time.Duration `yaml:"certificate_check" min:"0s" max:"24h"`

	// An alarm is raised when the certificate of a listener or of the dashboard, or
	// one of its chain, expires within this time, and a critical one when it has.
	// Looked at whenever the files are (certificate_check). 0: no alarm.
	CertificateExpiryAlarm time.Duration `yaml:"certificate_expiry_alarm" min:"0s" max:"8760h" reload:"yes"`

	// How long a stop (SIGTERM) may take: clients are told 0x8B, wills without
	// delay are published, what is owed to the store is written. Then the
	// process ends whatever is left.
	//
	// Within it the supervision tree stops in the reverse order of its start, and
	// child_shutdown bounds each of its steps.
	ShutdownTimeout time.Duration `yaml:"shutdown_timeout" min:"0s" max:"1h" reload:"yes"`

	// How long each service, and the connections or the sessions of one loop
	// together, may take of it. Those that do not stop in this time are killed,
	// which the log says: a connection that does not take its last bytes is
	// dropped, a service's mailbox is left unread.
	ChildShutdown time.Duration `yaml:"child_shutdown" min:"1ms" max:"1h"`
}

// Log configures the log on standard error.
type Log struct {
	// debug, info, warn or error. Packets are logged at debug; passwords and
	// payloads are not logged above it.
	Level LogLevel `yaml:"level" reload:"yes"`

	// console (for people) or json (one object per line).
	Format LogFormat `yaml:"format"`

	// How many of the offending bytes a log line about malformed input shows,
	// in hex, secrets masked. The rest is cut off.
	HexBytes int `yaml:"hex_bytes" min:"0" max:"4096" reload:"yes"`
}

// Store says where state lives and so what an acknowledgement means.
type Store struct {
	// pebble: on disk, in node.data_dir; what was acknowledged was synced before,
	// and survives a kill and a power loss. memory: in this process, and lost with
	// it.
	Engine StoreEngine `yaml:"engine"`

	// Memory for queued and retained messages, over all sessions. Above it a
	// PUBLISH that would be stored is answered 0x97 and not taken; a client before
	// MQTT 5 is not read until there is room.
	MaxBytes Bytes `yaml:"max_bytes" min:"1MiB" reload:"yes"`

	// Disk space that is left alone. Below it the same happens as above max_bytes;
	// acknowledgements, deletes and expiry go on.
	MinFreeBytes Bytes `yaml:"min_free_bytes" min:"0"`

	// What an acknowledgement waits for. synced: what it promises is on the disk.
	// memory: nothing; it is written all the same, within a second, and a broker
	// that is killed meanwhile has lost it, or sends it twice. An MQTT 5 client
	// that sends the user property emqttd-durability with CONNECT is told its
	// level in CONNACK.
	Durability Durability `yaml:"durability" reload:"yes"`

	// Levels of clients and topics, in order, the first that fits decides:
	// "memory topic telemetry/#" (what is published there), "memory client
	// sensor-*" (all that these clients do), "synced user billing topic bills/+".
	// None fits: the listener's durability.
	DurabilityRules []store.Rule `yaml:"durability_rules" max:"1000" reload:"yes"`
}

// Sys configures the broker's own topics.
type Sys struct {
	// How often statistics and metrics are published, at most every second.
	// 0: never.
	Interval time.Duration `yaml:"interval" min:"0s" max:"24h" reload:"yes"`

	// Publish client connected and disconnected events as well.
	Presence bool `yaml:"presence" reload:"yes"`

	// Publish Mosquitto's names ($SYS/broker/...) beside emqttd's
	// ($SYS/brokers/NODE/...), for exporters that know those.
	MosquittoNames bool `yaml:"mosquitto_names" reload:"yes"`
}

// Chaos lets faults be injected into the running broker.
type Chaos struct {
	// Allow faults: from the list below, the API and emqttd_ctl, for
	// administrators only. While it is on, an alarm is raised, connections are not
	// closed and services not given up for their crashes, and a fault may kill the
	// process. Not for production.
	Enabled bool `yaml:"enabled"`

	// Faults that are armed from the start, one line each, such as
	// "at=session/dispatch/decide do=panic when=every:100". Needs enabled.
	Faults []string `yaml:"faults" max:"256"`
}

// Default returns the configuration of a broker that was given none: it
// listens on loopback only. Each call returns a value of its own.
func Default() *Config {
	return &Config{
		Node: Node{Name: "emqttd@127.0.0.1", DataDir: "data"},
		Runtime: Runtime{
			Engine:           EngineAuto,
			WorkerQueue:      4096,
			ReadBuffer:       256 * KiB,
			ActorMaxCrashes:  5,
			ActorCrashWindow: 10 * time.Second,
			StallAfter:       time.Second,
			HibernateAfter:   time.Second,
			CertificateCheck: time.Minute,
			ShutdownTimeout:  30 * time.Second,
			ChildShutdown:    5 * time.Second,

			CertificateExpiryAlarm: 14 * 24 * time.Hour,
		},
		Log:       Log{Level: LogInfo, Format: LogConsole, HexBytes: 64},
		Listeners: defaultListeners(),
		Dashboard: defaultDashboard(),
		MQTT:      defaultMQTT(),
		Session:   defaultSession(),
		Retained:  Retained{MaxCount: 100_000, MaxPayload: MiB, MaxMemory: 64 * MiB, Batch: 1000},
		Store:     Store{Engine: StorePebble, MaxBytes: GiB, MinFreeBytes: 256 * MiB, Durability: DurabilitySynced},
		Auth:      Auth{CacheTTL: 5 * time.Minute, CacheSize: 10_000, ScramSHA256: true},
		ACL:       ACL{Format: ACLEmqttd, NoMatch: Allow},
		Ban:       Ban{PoisonCount: 3, PoisonWindow: time.Minute, PoisonBan: 5 * time.Minute},
		Sys:       Sys{Interval: time.Minute, Presence: true, MosquittoNames: true},
		Trace:     Trace{MaxTraces: 8, MaxEvents: 4096, MaxDuration: time.Hour, FileSize: 16 * MiB, Files: 2},
		Monitor: Monitor{Interval: 10 * time.Second, GCPause: 100 * time.Millisecond, ScheduleLatency: 100 * time.Millisecond,
			Mailbox: 10_000, MemoryPercent: 90, Calm: 3, MaxAlarms: 1000, History: 1000},
		SlowSubscribers: SlowSubscribers{Threshold: 500 * time.Millisecond, Top: 20, Window: 10 * time.Minute},
		TopicMetrics:    TopicMetrics{MaxTopics: 256},
	}
}

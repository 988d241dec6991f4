// SPDX-License-Identifier: Apache-2.0

package api

import "time"

// The types of this file are the schemas of openapi.yaml, where each field is
// explained. Times are UTC; sizes are bytes; a missing field is unknown or none.

// Page is one page of a list.
type Page[T any] struct {
	Items     []T  `json:"items"`
	Total     int  `json:"total"` // that the filters let through
	Page      int  `json:"page"`  // from 1
	Limit     int  `json:"limit"`
	Truncated bool `json:"truncated,omitempty"` // max_scan was reached: there may be more
}

// Node is the broker process.
type Node struct {
	Name        string    `json:"name"`
	Version     string    `json:"version"`
	Description string    `json:"description"`
	StartedAt   time.Time `json:"started_at"`
	Uptime      int64     `json:"uptime_seconds"`
	Now         time.Time `json:"now"`
	Ready       bool      `json:"ready"`
	GoVersion   string    `json:"go_version"`
	OS          string    `json:"os"`
	Arch        string    `json:"arch"`
	PID         int       `json:"pid"`
	CPUs        int       `json:"cpus"`
	Goroutines  int       `json:"goroutines"`
	Heap        int64     `json:"heap_bytes"`
	Memory      int64     `json:"memory_bytes"`
	MemoryLimit int64     `json:"memory_limit_bytes,omitempty"`
	GCs         int64     `json:"gc_count"`
	MaxFiles    int64     `json:"max_files,omitempty"`
	DataDir     string    `json:"data_dir"`
	Store       string    `json:"store"`
	Chaos       bool      `json:"chaos"` // crashing actors on purpose is allowed
	Loops       []Loop    `json:"loops"`
}

// Loop is one event loop.
type Loop struct {
	Index       int   `json:"index"`
	Connections int   `json:"connections"`
	Turns       int64 `json:"turns"`
}

// Listener is a port.
type Listener struct {
	Name           string `json:"name"` // "tcp:default"
	Key            string `json:"key"`  // in the configuration
	Transport      string `json:"transport"`
	Address        string `json:"address"`
	Running        bool   `json:"running"`
	Loopback       bool   `json:"loopback"`
	AllowAnonymous bool   `json:"allow_anonymous"`
	Connections    int64  `json:"connections"`
	MaxConnections int    `json:"max_connections"`
	MaxConnectRate int    `json:"max_connect_rate"`
	Accepted       int64  `json:"accepted"`
	TurnedFull     int64  `json:"turned_away_full"`
	TurnedDenied   int64  `json:"turned_away_denied"`

	NotAfter *time.Time `json:"certificate_not_after,omitempty"` // of the chain, the first to expire; missing: no TLS
	Expiring bool       `json:"certificate_expiring,omitempty"`  // the alarm about it is raised, see runtime.certificate_expiry_alarm
}

// Client is a connected client.
type Client struct {
	ClientID    string    `json:"client_id"`
	Username    string    `json:"username,omitempty"`
	Peer        string    `json:"peer,omitempty"` // address and port
	Listener    string    `json:"listener"`
	Transport   string    `json:"transport"`
	Protocol    string    `json:"protocol"` // "3.1", "3.1.1", "5.0"
	CleanStart  bool      `json:"clean_start"`
	KeepAlive   int       `json:"keep_alive_seconds"`
	Expiry      uint32    `json:"session_expiry_seconds"`
	Durability  string    `json:"durability"` // what acknowledgements wait for: "synced", "memory"
	ConnectedAt time.Time `json:"connected_at"`
	Conn        string    `json:"connection"` // "tcp:default/7", the prefix of its actors' names
	Loop        int       `json:"loop"`
	*Figures
}

// Figures are what changes about a client with every packet.
type Figures struct {
	LastRead       time.Time `json:"last_read_at"`
	BytesIn        int64     `json:"received_bytes"`
	BytesOut       int64     `json:"sent_bytes"`
	PacketsIn      int64     `json:"received_packets"`
	PacketsOut     int64     `json:"sent_packets"`
	MessagesIn     int64     `json:"received_messages"`
	MessagesOut    int64     `json:"sent_messages"`
	OutBuffer      int64     `json:"out_buffer_bytes"`
	Paused         bool      `json:"paused"` // not read at present
	Subscriptions  int       `json:"subscriptions"`
	Inflight       int       `json:"inflight"`
	MaxInflight    int       `json:"max_inflight"`
	Queued         int       `json:"queued"`
	QueuedBytes    int64     `json:"queued_bytes"`
	AwaitingRel    int       `json:"awaiting_rel"`
	Congested      bool      `json:"congested"` // its session waits until it reads
	ParserStage    string    `json:"parser_stage"`
	ParserBuffered int       `json:"parser_buffered_bytes"`
	ParserWants    int       `json:"parser_wants_bytes"`
}

// ClientDetail is all there is about a client.
type ClientDetail struct {
	Client
	Session       *Session       `json:"session,omitempty"`
	Subscriptions []Subscription `json:"subscription_list"`
	Inflight      []Flight       `json:"inflight_list"`
	Actors        []Actor        `json:"actors"`
}

// Flight is a message that was sent and is not acknowledged.
type Flight struct {
	PacketID int       `json:"packet_id"`
	Topic    string    `json:"topic"`
	QoS      int       `json:"qos"`
	Bytes    int       `json:"payload_bytes"`
	Released bool      `json:"released"` // PUBREC came, PUBREL was sent
	At       time.Time `json:"published_at"`
}

// Session is what is kept for a client id.
type Session struct {
	ClientID       string     `json:"client_id"`
	Connected      bool       `json:"connected"`
	Durable        bool       `json:"durable"`
	Username       string     `json:"username,omitempty"`
	Protocol       string     `json:"protocol"`
	CreatedAt      time.Time  `json:"created_at"`
	DisconnectedAt *time.Time `json:"disconnected_at,omitempty"`
	Expiry         uint32     `json:"expiry_seconds"`
	Subscriptions  int        `json:"subscriptions"`
	Inflight       int        `json:"inflight"`
	MaxInflight    int        `json:"max_inflight"`
	Queued         int        `json:"queued"`
	QueuedBytes    int64      `json:"queued_bytes"`
	AwaitingRel    int        `json:"awaiting_rel"`
	Number         uint64     `json:"number"`
	Epoch          uint64     `json:"epoch"`
	Will           *Will      `json:"will,omitempty"`
	Mailbox        int        `json:"mailbox"`
}

// Will is what is published when the client dies.
type Will struct {
	Topic  string `json:"topic"`
	QoS    int    `json:"qos"`
	Retain bool   `json:"retain"`
	Bytes  int    `json:"payload_bytes"`
	Delay  uint32 `json:"delay_seconds"`
}

// Subscription is one filter of one session.
type Subscription struct {
	ClientID          string   `json:"client_id"`
	Filter            string   `json:"filter"` // as the client wrote it
	QoS               int      `json:"qos"`
	NoLocal           bool     `json:"no_local"`
	RetainAsPublished bool     `json:"retain_as_published"`
	Group             string   `json:"share_group,omitempty"`
	SubscriptionIDs   []uint32 `json:"subscription_ids,omitempty"`
	Durable           bool     `json:"durable"`
}

// TableRoute is a filter of the routing table.
type TableRoute struct {
	Filter      string  `json:"filter"`
	Node        string  `json:"node"`
	Subscribers int     `json:"subscribers"` // without groups
	Groups      []Group `json:"groups,omitempty"`
}

// Group is a shared subscription.
type Group struct {
	Name    string `json:"name"`
	Members int    `json:"members"`
}

// Topic is a topic that is subscribed to, or has a retained message.
type Topic struct {
	Topic       string `json:"topic"`
	Subscribers int    `json:"subscribers"`
	Retained    bool   `json:"retained"`
}

// Retained is a retained message without its payload.
type Retained struct {
	Topic     string     `json:"topic"`
	QoS       int        `json:"qos"`
	Bytes     int        `json:"payload_bytes"`
	From      string     `json:"from,omitempty"` // client id of the publisher
	At        time.Time  `json:"published_at"`
	ExpiresAt *time.Time `json:"expires_at,omitempty"`
}

// RetainedMessage is a retained message with its payload.
type RetainedMessage struct {
	Retained
	Payload         []byte         `json:"payload_base64"`
	Text            string         `json:"payload_text,omitempty"` // when it is UTF-8 without control characters
	ContentType     string         `json:"content_type,omitempty"`
	ResponseTopic   string         `json:"response_topic,omitempty"`
	CorrelationData []byte         `json:"correlation_data_base64,omitempty"`
	UserProperties  []UserProperty `json:"user_properties,omitempty"`
}

// UserProperty is a pair of MQTT 5.
type UserProperty struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// Branch is one level of the tree of retained topics.
type Branch struct {
	Level    string    `json:"level"`
	Topic    string    `json:"topic"`             // up to and with this level
	Messages int       `json:"messages"`          // here and below
	Message  *Retained `json:"message,omitempty"` // here
	Leaf     bool      `json:"leaf"`              // nothing below
}

// Actor is one actor, or a supervisor with its children.
type Actor struct {
	Name        string     `json:"name"`
	Kind        string     `json:"kind"`
	Module      string     `json:"module"`  // of emqttd
	State       string     `json:"state"`   // "up", "hibernating", "waiting", "restarting", "failing" or "ended"
	Mailbox     int        `json:"mailbox"` // messages that wait
	Restarts    int        `json:"restarts"`
	LastReason  string     `json:"last_reason,omitempty"`  // of the last crash
	LastMessage string     `json:"last_message,omitempty"` // the type of the message that crashed it
	LastStack   string     `json:"last_stack,omitempty"`
	LastAt      *time.Time `json:"last_crash_at,omitempty"`
	Poison      bool       `json:"last_poison,omitempty"` // the last crash was the second at one message
	Supervisor  bool       `json:"supervisor"`
	Strategy    string     `json:"strategy,omitempty"` // of a supervisor
	MaxRestarts int        `json:"max_restarts,omitempty"`
	Within      float64    `json:"within_seconds,omitempty"` // that max_restarts are allowed in
	Used        int        `json:"used_restarts,omitempty"`  // of them
	Children    []Actor    `json:"children,omitempty"`
	More        int        `json:"more_children,omitempty"` // that are not listed
}

// ActorName names an actor.
type ActorName struct {
	Name string `json:"name"`
}

// ActorKind counts the actors of one kind.
type ActorKind struct {
	Kind     string `json:"kind"`
	Module   string `json:"module"`
	Alive    int64  `json:"alive"`
	Restarts int64  `json:"restarts"`
	Crashes  int64  `json:"crashes"`
	Poisoned int64  `json:"poisoned"`
	Dropped  int64  `json:"dropped"`
}

// Stats are what the broker holds, and how fast it goes.
type Stats struct {
	At            time.Time `json:"at"`
	Connections   Gauge     `json:"connections"`
	Clients       Gauge     `json:"clients"`
	Sessions      Gauge     `json:"sessions"`
	Subscriptions Gauge     `json:"subscriptions"`
	Routes        Gauge     `json:"routes"`
	Retained      Gauge     `json:"retained"`
	QueuedBytes   Gauge     `json:"queued_bytes"`
	RetainedBytes Gauge     `json:"retained_bytes"`
	Heap          Gauge     `json:"heap_bytes"`
	Goroutines    Gauge     `json:"goroutines"`
	Rates         Rates     `json:"rates"`
}

// Gauge is a figure and the highest that was seen since the start.
type Gauge struct {
	Now int64 `json:"now"`
	Max int64 `json:"max"`
}

// Rates are per second, over the last second.
type Rates struct {
	BytesIn     float64 `json:"received_bytes"`
	BytesOut    float64 `json:"sent_bytes"`
	PacketsIn   float64 `json:"received_packets"`
	PacketsOut  float64 `json:"sent_packets"`
	MessagesIn  float64 `json:"received_messages"`
	MessagesOut float64 `json:"sent_messages"`
	Dropped     float64 `json:"dropped_messages"`
	Connects    float64 `json:"connects"`
}

// Metrics are the counters since the start.
type Metrics struct {
	BytesIn     int64            `json:"received_bytes"`
	BytesOut    int64            `json:"sent_bytes"`
	PacketsIn   map[string]int64 `json:"received_packets"` // by type
	PacketsOut  map[string]int64 `json:"sent_packets"`
	MessagesIn  map[string]int64 `json:"received_messages"` // "qos0", "qos1", "qos2"
	MessagesOut map[string]int64 `json:"sent_messages"`
	Dropped     map[string]int64 `json:"dropped"` // by reason
	Closed      map[string]int64 `json:"closed"`  // by reason
	Faults      map[string]int64 `json:"faults"`  // by fault
	Refused     map[string]int64 `json:"refused"` // CONNECTs by reason code
	Accepted    int64            `json:"accepted_connections"`
}

// ConfigKey is one key of the configuration in force.
type ConfigKey struct {
	Key    string `json:"key"`
	Value  string `json:"value"` // as YAML, secrets masked
	Origin string `json:"origin"`
	Reload bool   `json:"reload"` // can change without a restart
}

// Ban keeps somebody out.
type Ban struct {
	Kind   string     `json:"kind"`            // client, user or address
	Value  string     `json:"value"`           // of an address: one, or a network such as 10.0.0.0/8
	Until  *time.Time `json:"until,omitempty"` // missing: until it is removed
	At     time.Time  `json:"at"`
	By     string     `json:"by,omitempty"` // "configuration": is there again after a restart
	Reason string     `json:"reason,omitempty"`
}

// NewBan is the body that bans.
type NewBan struct {
	Kind   string     `json:"kind"` // client, user or address
	Value  string     `json:"value"`
	Until  *time.Time `json:"until,omitempty"`
	Reason string     `json:"reason,omitempty"`
}

// MadeBan is a ban and what it did at once.
type MadeBan struct {
	Ban
	Kicked int `json:"kicked"` // connections that it ended
}

// NewSubscription is the body that subscribes a client.
type NewSubscription struct {
	Filter            string `json:"filter"`
	QoS               int    `json:"qos,omitempty"`
	NoLocal           bool   `json:"no_local,omitempty"`
	RetainAsPublished bool   `json:"retain_as_published,omitempty"`
	RetainHandling    int    `json:"retain_handling,omitempty"` // 0 sends retained messages, 1 if it is new, 2 does not
}

// NewMessage is the body that publishes. The payload is given as text or in
// base64, or left out for an empty one.
type NewMessage struct {
	Topic           string         `json:"topic"`
	Text            string         `json:"payload,omitempty"`
	Payload         []byte         `json:"payload_base64,omitempty"`
	QoS             int            `json:"qos,omitempty"`
	Retain          bool           `json:"retain,omitempty"`
	Expiry          uint32         `json:"expiry_seconds,omitempty"` // 0: none
	ContentType     string         `json:"content_type,omitempty"`
	ResponseTopic   string         `json:"response_topic,omitempty"`
	CorrelationData []byte         `json:"correlation_data_base64,omitempty"`
	UserProperties  []UserProperty `json:"user_properties,omitempty"`
}

// Published is what the broker said of a message.
type Published struct {
	Code   int    `json:"reason_code"` // 0, or 16: nobody subscribes
	Reason string `json:"reason"`
}

// Reloaded is what a reload of the configuration has left undone.
type Reloaded struct {
	NeedRestart []string `json:"need_restart"` // keys
}

// Deleted counts.
type Deleted struct {
	Deleted int `json:"deleted"`
}

// SPDX-License-Identifier: Apache-2.0

package config

// enum is a string of which only some values are allowed. The loader offers
// the nearest one when it meets another.
type enum interface{ Values() []string }

// Engine is what reads the sockets.
type Engine string

const (
	EngineAuto      Engine = "auto"
	EngineEpoll     Engine = "epoll"
	EngineGoroutine Engine = "goroutine"
)

func (Engine) Values() []string { return []string{"auto", "epoll", "goroutine"} }

// LogLevel is the lowest level that is logged.
type LogLevel string

const (
	LogDebug LogLevel = "debug"
	LogInfo  LogLevel = "info"
	LogWarn  LogLevel = "warn"
	LogError LogLevel = "error"
)

func (LogLevel) Values() []string { return []string{"debug", "info", "warn", "error"} }

// LogFormat is how a log line looks.
type LogFormat string

const (
	LogConsole LogFormat = "console"
	LogJSON    LogFormat = "json"
)

func (LogFormat) Values() []string { return []string{"console", "json"} }

// ProxyProtocol is the version of the PROXY header that is required.
type ProxyProtocol string

const (
	ProxyOff  ProxyProtocol = "off"
	ProxyV1   ProxyProtocol = "v1"
	ProxyV2   ProxyProtocol = "v2"
	ProxyBoth ProxyProtocol = "both"
)

func (ProxyProtocol) Values() []string { return []string{"off", "v1", "v2", "both"} }

// ClientAuth is what is asked of a TLS client.
type ClientAuth string

const (
	ClientAuthNone    ClientAuth = "none"
	ClientAuthRequest ClientAuth = "request"
	ClientAuthRequire ClientAuth = "require"
)

func (ClientAuth) Values() []string { return []string{"none", "request", "require"} }

// TLSVersion is a version of TLS.
type TLSVersion string

const (
	TLS12 TLSVersion = "1.2"
	TLS13 TLSVersion = "1.3"
)

func (TLSVersion) Values() []string { return []string{"1.2", "1.3"} }

// PeerCertAsUsername is the part of a client certificate that names the user.
type PeerCertAsUsername string

const (
	PeerCertNone PeerCertAsUsername = "none"
	PeerCertCN   PeerCertAsUsername = "cn"
)

func (PeerCertAsUsername) Values() []string { return []string{"none", "cn"} }

// SharedStrategy chooses the member of a shared subscription.
type SharedStrategy string

const (
	SharedRoundRobin   SharedStrategy = "round_robin"
	SharedRandom       SharedStrategy = "random"
	SharedSticky       SharedStrategy = "sticky"
	SharedHashClientID SharedStrategy = "hash_clientid"
	SharedHashTopic    SharedStrategy = "hash_topic"
)

func (SharedStrategy) Values() []string {
	return []string{"round_robin", "random", "sticky", "hash_clientid", "hash_topic"}
}

// StoreEngine keeps the state.
type StoreEngine string

const (
	StorePebble StoreEngine = "pebble"
	StoreMemory StoreEngine = "memory"
)

func (StoreEngine) Values() []string { return []string{"pebble", "memory"} }

// Durability is what an acknowledgement waits for.
type Durability string

const (
	DurabilitySynced Durability = "synced"
	DurabilityMemory Durability = "memory"
)

func (Durability) Values() []string { return []string{"synced", "memory"} }

// ListenerDurability is Durability, or that of the store.
type ListenerDurability string

const ListenerDurabilityDefault ListenerDurability = "default"

func (ListenerDurability) Values() []string { return []string{"default", "synced", "memory"} }

// LinkType is a kind of authenticator.
type LinkType string

const (
	LinkPasswordFile LinkType = "password_file"
	LinkClientIDFile LinkType = "client_id_file"
	LinkBuiltin      LinkType = "builtin"
)

func (LinkType) Values() []string { return []string{"password_file", "client_id_file", "builtin"} }

// ACLFormat is the language of an ACL file.
type ACLFormat string

const (
	ACLEmqttd    ACLFormat = "emqttd"
	ACLMosquitto ACLFormat = "mosquitto"
)

func (ACLFormat) Values() []string { return []string{"emqttd", "mosquitto"} }

// Verdict is the answer of a rule.
type Verdict string

const (
	Allow Verdict = "allow"
	Deny  Verdict = "deny"
)

func (Verdict) Values() []string { return []string{"allow", "deny"} }

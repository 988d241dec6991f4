// SPDX-License-Identifier: Apache-2.0

package config

import "time"

// Auth configures authentication.
type Auth struct {
	// Let clients in without user name and password (they may send them; then
	// they are checked if there is something to check them with). null: only on
	// loopback and unix sockets without proxy_protocol, and only while auth.chain
	// is empty.
	AllowAnonymous *bool `yaml:"allow_anonymous"`

	// Asked in order until one accepts or refuses; one that does not know the
	// client passes it on, and a client that nobody knows is refused.
	Chain []Link `yaml:"chain" max:"12" reload:"yes"`

	// Users of the link {type: builtin}: name, then the password or an argon2id
	// or bcrypt hash of it. From the environment names arrive in lower case.
	Users map[string]Secret `yaml:"users" max:"10000" reload:"yes"`

	// A password that was right once is not hashed again for this long. 0: off.
	CacheTTL time.Duration `yaml:"cache_ttl" min:"0s" max:"24h" reload:"yes"`

	// Passwords remembered that way; the oldest is forgotten for a new one.
	CacheSize int `yaml:"cache_size" min:"0" max:"10000000" reload:"yes"`

	// Offer enhanced authentication by SCRAM-SHA-256 to MQTT 5 clients, for the
	// users of {type: builtin}. Other methods are answered 0x8C.
	ScramSHA256 bool `yaml:"scram_sha256"`
}

// Link is one step of the authentication chain.
type Link struct {
	// password_file (Mosquitto's), client_id_file (emqttd's: a client
	// identifier a line, and the address it must come from) or builtin (auth.users).
	Type LinkType `yaml:"type"`

	// The file, for the types that read one. Read again on reload.
	Path string `yaml:"path" max:"4096"`
}

// ACL configures authorisation.
type ACL struct {
	// File of rules, read again on reload. Empty: no rules.
	File string `yaml:"file" max:"4096" reload:"yes"`

	// Whose rules the file holds: emqttd ({allow, {user, "x"}, publish, ["a/#"]}.)
	// or mosquitto (its acl_file).
	Format ACLFormat `yaml:"format" reload:"yes"`

	// When no rule fits: allow or deny. Publishing to $SYS/# always needs a rule.
	NoMatch Verdict `yaml:"no_match" reload:"yes"`
}

// Ban configures the ban list.
type Ban struct {
	// A client identifier whose packets crash an actor this many times within
	// poison_window is banned for poison_ban. 0: never.
	PoisonCount int `yaml:"poison_count" min:"0" max:"1000000" reload:"yes"`

	// See poison_count.
	PoisonWindow time.Duration `yaml:"poison_window" min:"1s" max:"24h" reload:"yes"`

	// See poison_count.
	PoisonBan time.Duration `yaml:"poison_ban" min:"1s" max:"8760h" reload:"yes"`

	// Bans by hand. A client to which one applies is refused: 0x8A, return code
	// 5.
	Entries []BanEntry `yaml:"entries" max:"10000" reload:"yes"`
}

// BanEntry names exactly one of client id, user and address.
type BanEntry struct {
	// Client identifier.
	ClientID string `yaml:"client_id" max:"1024"`

	// User name.
	Username string `yaml:"username" max:"1024"`

	// Address or network, as in 10.1.2.3 or 10.0.0.0/8.
	IP Prefix `yaml:"ip"`

	// When the ban ends, as in 2027-01-31T12:00:00Z. Left out: never.
	Until time.Time `yaml:"until"`

	// Why, for the log.
	Reason string `yaml:"reason" max:"1024"`
}

// AnonymousAllowed reports whether a client may connect through l without
// being authenticated.
func (c *Config) AnonymousAllowed(l *Listener) bool {
	if l.AllowAnonymous != nil {
		return *l.AllowAnonymous
	}
	if c.Auth.AllowAnonymous != nil {
		return *c.Auth.AllowAnonymous
	}
	return len(c.Auth.Chain) == 0 && l.Local()
}

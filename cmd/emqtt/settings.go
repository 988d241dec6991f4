// SPDX-License-Identifier: Apache-2.0

package main

import (
	"math"
	"math/rand/v2"
	"strconv"
	"time"

	"emqttd/protocol/client"
	"emqttd/protocol/packet"
	"emqttd/protocol/topic"
)

// settings are the flags of one pub or sub, in the order of their topics.
type settings struct {
	tool string // "pub" or "sub"

	// where to
	host      string
	port      int // 0: by the transport
	unix      string
	bind      string
	srv       bool
	nodelay   bool // Go sets TCP_NODELAY always: accepted, nothing to do
	webSocket bool
	wsPath    string
	proxy     *socksProxy
	tls       tlsSettings

	// as whom
	version     packet.Version
	id          string
	hasID       bool
	idPrefix    string
	username    string
	hasUsername bool
	password    string
	hasPassword bool
	keepAlive   int // seconds
	persistent  bool
	expiry      uint32
	hasExpiry   bool
	maxInflight int
	will        willSettings
	props       propertySets

	// what
	topics    []string
	qos       packet.QoS
	debug     bool
	quiet     bool
	pub       pubSettings
	sub       subSettings
	help      bool
	showVer   bool
	fromFile  bool // reading the options file: what it sets the command line may set again
	urlScheme string
}

type willSettings struct {
	topic      string
	payload    []byte
	hasPayload bool
	qos        packet.QoS
	retain     bool
}

type pubSettings struct {
	mode        byte // the flag that said what to send: m f l n s; 0: none yet
	message     []byte
	file        string
	retain      bool
	repeat      int
	repeatDelay time.Duration
}

type subSettings struct {
	format            format // nil: payload or topic and payload
	count             int
	exitAfterSub      bool
	noNewline         bool
	noRetained        bool
	retainedOnly      bool
	removeRetained    bool
	retainAsPublished bool
	pretty            bool
	verbose           bool
	filterOut         []string
	unsubscribe       []string
	timeout           time.Duration
	randomFilter      float64 // percent
}

func newSettings(tool string) *settings {
	return &settings{
		tool: tool, version: packet.V311, keepAlive: 60, maxInflight: 20, wsPath: "/mqtt",
		pub: pubSettings{repeat: 1}, sub: subSettings{randomFilter: 100},
	}
}

const never = math.MaxUint32 // session expiry [v5 3.1.2.11.2]

// check says what does not go together.
func (s *settings) check() error {
	switch {
	case s.version == packet.V5 && s.expiresNever() && !s.named():
		return usage("You must provide a client id if you are using an infinite session expiry interval.")
	case s.persistent && !s.named():
		return usage("You must provide a client id if you are using the -c option.")
	case s.hasID && s.id == "":
		return usage("Invalid id.")
	case s.hasPassword && !s.hasUsername && s.version < packet.V5: // [v3.1.1 MQTT-3.1.2-22]
		return usage("Problem setting username and/or password.")
	case s.will.hasPayload && s.will.topic == "":
		return usage("Will payload given, but no will topic given.")
	case s.will.retain && s.will.topic == "":
		return usage("Will retain given, but no will topic given.")
	}
	if err := s.tls.check(); err != nil {
		return err
	}
	if s.tool == "pub" {
		return s.checkPub()
	}
	return s.checkSub()
}

// clientID is the client identifier. Without one, the server gives one, where
// the version allows that [v3.1.1 MQTT-3.1.3-6].
func (s *settings) clientID(pid int) string {
	switch {
	case s.idPrefix != "":
		return s.idPrefix + strconv.Itoa(pid)
	case s.hasID || s.version > packet.V31:
		return s.id
	}
	const letters = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	b := []byte("mosq-")
	for range 18 { // 23 in all, the most that 3.1 allows
		b = append(b, letters[rand.IntN(len(letters))])
	}
	return string(b)
}

func (s *settings) named() bool { return s.hasID || s.idPrefix != "" }

func (s *settings) expiresNever() bool {
	if s.hasExpiry {
		return s.expiry == never
	}
	return s.persistent
}

func (s *settings) checkPub() error {
	if s.pub.mode == 0 || len(s.topics) == 0 {
		return usage("Both topic and message must be supplied.")
	}
	return nil
}

func (s *settings) checkSub() error {
	switch {
	case len(s.topics) == 0:
		return usage("You must specify a topic to subscribe to.")
	case s.sub.noRetained && s.sub.retainedOnly:
		return usage("Combining '-R' and '--retained-only' makes no sense.")
	case s.sub.retainAsPublished && s.version < packet.V5:
		s.sub.retainAsPublished = false // as mosquitto_sub: no error
	}
	return nil
}

// connect is the CONNECT packet that s asks for.
func (s *settings) connect(pid int) packet.Connect {
	c := packet.Connect{
		Version: s.version, CleanStart: !s.persistent, KeepAlive: uint16(s.keepAlive), ClientID: s.clientID(pid),
		Username: s.username, HasUsername: s.hasUsername, Password: []byte(s.password), HasPassword: s.hasPassword,
	}
	if s.will.topic != "" {
		c.Will = &packet.Will{QoS: s.will.qos, Retain: s.will.retain, Topic: s.will.topic, Payload: s.will.payload}
	}
	if s.version < packet.V5 {
		return c
	}
	c.Properties = s.props[packet.CONNECT]
	if s.hasExpiry || s.persistent {
		if c.Properties == nil {
			c.Properties = new(packet.Properties)
		}
		if s.hasExpiry {
			c.Properties.Set(packet.PropSessionExpiry).SessionExpiry = s.expiry
		} else if !c.Properties.Has(packet.PropSessionExpiry) {
			c.Properties.Set(packet.PropSessionExpiry).SessionExpiry = never
		}
	}
	if c.Will != nil {
		c.Will.Properties = s.props[packet.WillPlace]
	}
	return c
}

// config is the client that s asks for, without handlers.
func (s *settings) config(w *world) (client.Config, error) {
	dial, err := s.dialer()
	if err != nil {
		return client.Config{}, err
	}
	cfg := client.Config{Dial: dial, Connect: s.connect(w.pid), Window: s.maxInflight}
	if s.debug {
		cfg.Tap = newDebug(w.out, &cfg.Connect).tap
	}
	return cfg, nil
}

// wire are the properties for a packet, nil before 5.0.
func (s *settings) wire(t packet.Type) *packet.Properties {
	if s.version < packet.V5 {
		return nil
	}
	return s.props[t]
}

func (s *settings) disconnect() *packet.Disconnect {
	return &packet.Disconnect{Properties: s.wire(packet.DISCONNECT)}
}

func validFilter(f string) bool {
	return topic.ValidFilter(f, topic.Limits{Levels: topic.MaxLength}) == nil
}

func validName(n string) bool {
	return topic.ValidName(n, topic.Limits{Levels: topic.MaxLength}) == nil
}

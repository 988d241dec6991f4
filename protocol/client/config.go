// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"math/rand/v2"
	"net"
	"time"

	"emqttd/protocol/packet"
)

// Config is what a Client is made of. Only Dial is required.
type Config struct {
	// Dial makes the connection; it is called again for every reconnect.
	Dial func(ctx context.Context) (net.Conn, error)

	// Connect is the CONNECT packet, sent as it is but for four things: Version 0
	// means 3.1.1, a reconnect of a session that lives on clears CleanStart, an
	// identifier assigned by the server is kept, and Auth adds its properties.
	// What it promises (Receive Maximum, Maximum Packet Size, Topic Alias
	// Maximum, keep alive) the client holds the server and itself to.
	Connect packet.Connect
	// Auth is enhanced authentication; nil: none [v5 4.12].
	Auth Auth

	// Handler receives the messages, in order, on one goroutine. It may call
	// every method of the Client, but while it waits nothing else is handled and
	// no more than QueueSize messages are read. nil: messages are acknowledged
	// and dropped.
	Handler func(*Message)
	// ManualAck leaves Message.Ack to the handler's owner; else a message is
	// acknowledged when Handler returns. Acknowledge in the order of arrival
	// [v3.1.1 MQTT-4.6.0-2 -3, v5 MQTT-4.6.0-2 -3].
	ManualAck bool
	// OnConnect and OnDisconnect are told of every connection, on the goroutine
	// and in the order of Handler; the error is never nil.
	OnConnect    func(*packet.Connack)
	OnDisconnect func(error)

	// Reconnect, if not nil, makes the client dial again when a connection is
	// lost. Publishes of QoS 1 and 2 then wait for the next connection.
	Reconnect *Backoff
	// Store keeps the session where a crash of the process does not reach it;
	// nil: in the Client alone.
	Store Store

	// Window is how many publishes of QoS 1 and 2 may be unacknowledged or
	// waiting; a publish above it waits. 0: 1024, at most 65 535. How many of
	// them are on the wire is up to the server's Receive Maximum.
	Window int
	// QueueSize is how many received messages may wait for Handler before the
	// client stops reading. 0: 256.
	QueueSize int
	// OutBytes is how many encoded bytes may wait for the network before a
	// publish waits. 0: 256 KiB.
	OutBytes int
	// TopicAliases is how many topic aliases to use when the server allows them;
	// the first so many topics published get one. 0: none [v5 3.3.2.3.4].
	TopicAliases uint16

	ConnectTimeout time.Duration // dial to CONNACK; 0: 10 s
	PingTimeout    time.Duration // PINGREQ to PINGRESP; 0: the keep alive interval
	WriteTimeout   time.Duration // one write; 0: 30 s
	CloseTimeout   time.Duration // DISCONNECT to the server's close; 0: 250 ms
	ReadBuffer     int           // bytes read at once; 0: 4096

	// Tap sees every packet of every connection, see Options.Tap. The sent ones
	// are shown when they are encoded, with the client locked: it must not call
	// the Client.
	Tap func(Event)
}

// Auth is the client's half of an enhanced authentication [v5 4.12]. Its
// methods are called one at a time and must not wait.
type Auth interface {
	Method() string
	Begin() (data []byte, err error)                  // data of CONNECT or of a re-authentication
	Next(challenge []byte) (answer []byte, err error) // AUTH "continue" from the server
	Done(data []byte) error                           // success; what the server said last
}

func (cfg Config) withDefaults() Config {
	setDefault(&cfg.Window, 1024)
	cfg.Window = min(cfg.Window, 65535)
	setDefault(&cfg.QueueSize, 256)
	setDefault(&cfg.OutBytes, 256<<10)
	setDefault(&cfg.ConnectTimeout, 10*time.Second)
	setDefault(&cfg.WriteTimeout, 30*time.Second)
	setDefault(&cfg.CloseTimeout, 250*time.Millisecond)
	setDefault(&cfg.Connect.Version, packet.V311)
	return cfg
}

func setDefault[T comparable](p *T, v T) {
	var zero T
	if *p == zero {
		*p = v
	}
}

// Backoff is how long to wait before dialling again, and when to give up.
type Backoff struct {
	Min, Max time.Duration // first and longest wait; 0: 100 ms and 30 s; doubling in between
	Attempts int           // without success in a row; 0: no limit
	// Retry says whether to go on after err; nil: Retryable.
	Retry func(err error) bool
}

// wait is how long to wait before attempt n (0 is the first), give or take a
// fifth, so that the clients of one server do not all return at once.
func (b *Backoff) wait(n int) time.Duration {
	lo, hi := b.Min, b.Max
	setDefault(&lo, 100*time.Millisecond)
	setDefault(&hi, 30*time.Second)
	d := hi
	if n < 30 && lo<<n < hi && lo<<n > 0 {
		d = lo << n
	}
	return d - d/5 + rand.N(2*d/5+1)
}

func (b *Backoff) retry(err error) bool {
	if b.Retry != nil {
		return b.Retry(err)
	}
	return Retryable(err)
}

// Retryable reports whether trying again later may help: always, but where the
// server said in so many words that it will not have this client, or that
// another connection has taken the session (two clients of one identifier would
// throw each other out for ever).
func Retryable(err error) bool {
	code, ok := codeOf(err)
	if !ok {
		return true
	}
	switch code {
	case packet.UnspecifiedError, packet.ServerUnavailable, packet.ServerBusy, packet.ServerShuttingDown,
		packet.KeepAliveTimeout, packet.ReceiveMaximumExceeded, packet.MessageRateTooHigh, packet.QuotaExceeded,
		packet.AdministrativeAction, packet.ConnectionRateExceeded, packet.MaximumConnectTime, packet.Success:
		return true
	}
	return false
}

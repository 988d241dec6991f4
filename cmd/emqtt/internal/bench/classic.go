// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"time"

	"emqttd/protocol/packet"
	"emqttd/protocol/serializer"
)

// Classic is a run of conn, pub or sub, the sub-commands that users know from
// emqtt_bench: so many clients, one every so often, until it is stopped.
type Classic struct {
	Config
	Kind     string        // conn, pub or sub
	Count    int           // clients
	Start    int           // number of the first
	Every    time.Duration // between two connects
	Interval time.Duration // pub: between two messages of a client; 0: as fast as Window lets it
	Topic    string        // %i: the client's number, %c: its identifier, %u: the user name
	Retain   bool
	Keep     time.Duration // keep alive; 0: none
	Persist  bool          // clean session off
	Out      io.Writer     // a line per second
}

// settle checks what was asked for.
func (c *Classic) settle() error {
	switch {
	case c.Count < 1 || c.Count > maxConnections:
		return fmt.Errorf("bench: --count %d: want 1 to %d", c.Count, maxConnections)
	case c.Every < 0 || c.Interval < 0 || c.Keep < 0 || c.Keep > 65_535*time.Second:
		return errors.New("bench: an interval or --keepalive is out of range")
	case c.Kind != "conn" && c.Topic == "":
		return errors.New("bench: --topic is wanted")
	case c.Size < 0 || c.Size > maxSize || c.QoS < 0 || c.QoS > 2:
		return fmt.Errorf("bench: --size %d or --qos %d is out of range", c.Size, c.QoS)
	}
	if c.Window < 1 || c.Window > 65_535 {
		return fmt.Errorf("bench: --inflight %d: want 1 to 65535", c.Window)
	}
	c.Size = max(c.Size, stampSize)
	return c.settleTimes()
}

// crowd is a Classic run while it is played.
type crowd struct {
	*Classic
	*loop
	ctx     context.Context
	members []*member
	run     uint32
	next    int   // member to dial
	ready   int   // connected (sub: subscribed)
	failed  int   // refused, or ended
	why     error // of the last that failed
	sent    int64
	got     int64
	latency histogram
	sending []*member
}

// member is one client.
type member struct {
	w       *crowd
	c       *conn
	id      string
	topic   string
	frame   []byte
	payload []byte // of frame
	at      int    // of the packet identifier in frame; 0: QoS 0
	due     int64  // nanos of its next message
	pings   int64  // nanos of its next PINGREQ
	ids     packetIDs
}

// RunClassic plays it for Duration. Clients that fail are counted, not fatal,
// unless all do.
func RunClassic(ctx context.Context, c Classic) error {
	if err := c.settle(); err != nil {
		return err
	}
	t, err := newTarget(c.URL, c.TLS, c.Mine)
	if err != nil {
		return err
	}
	l, err := newLoop(t)
	if err != nil {
		return err
	}
	w := &crowd{Classic: &c, loop: l, ctx: ctx, run: rand.Uint32()}
	defer l.driver.shut()
	l.atEnd = w.turnEnd
	for i := range c.Count {
		m, err := w.member(c.Start + i)
		if err != nil {
			return err
		}
		w.members = append(w.members, m)
	}
	err = w.play()
	for _, m := range w.members {
		m.c.close()
	}
	return err
}

func (w *crowd) member(n int) (*member, error) {
	m := &member{w: w, id: fmt.Sprintf("emqtt_bench_%s_%08x_%d", w.Kind, w.run, n)}
	m.topic = strings.NewReplacer("%i", fmt.Sprint(n), "%c", m.id, "%u", w.target.username).Replace(w.Topic)
	connect := &packet.Connect{Version: w.Version, CleanStart: !w.Persist, ClientID: m.id, KeepAlive: uint16(w.Keep.Seconds()),
		Username: w.target.username, HasUsername: w.target.hasUser, Password: []byte(w.target.password), HasPassword: w.target.hasPass}
	hello, err := serializer.Append(nil, connect, w.Version)
	if err != nil {
		return nil, err
	}
	m.c = &conn{l: w.loop, role: m, version: w.Version, hello: hello, source: n / portsPerSource}
	if w.target.webSocket() {
		m.c.ws = newWebSocket(uint64(w.run) + uint64(n))
	}
	if w.Kind != "pub" {
		return m, nil
	}
	p := &packet.Publish{QoS: packet.QoS(w.QoS), Retain: w.Retain, Topic: []byte(m.topic), Payload: make([]byte, w.Size)}
	if w.QoS > 0 {
		p.ID = 1
	}
	if m.frame, err = serializer.AppendPublish(nil, p, w.Version); err != nil {
		return nil, err
	}
	m.payload = m.frame[len(m.frame)-w.Size:]
	if w.QoS > 0 {
		_, header, _ := packetSize(m.frame) // our own
		m.at = header + 2 + len(m.topic)
	}
	return m, nil
}

// play turns the loop and prints a line per second.
func (w *crowd) play() error {
	begin := time.Now()
	end, line, dial := begin.Add(w.Duration), begin.Add(time.Second), begin
	var before int64
	for now := begin; now.Before(end) && w.ctx.Err() == nil && !w.over(); now = time.Now() {
		for w.next < len(w.members) && !now.Before(dial) && w.next-w.ready-w.failed < maxDialling {
			m := w.members[w.next]
			w.next++
			dial = dial.Add(w.Every)
			if err := w.driver.dial(m.c); err != nil {
				m.closed(m.c, err)
			}
		}
		if !now.Before(line) {
			w.line(now.Sub(begin), before)
			before, line = w.counter(), line.Add(time.Second)
		}
		wait := min(line.Sub(now), 10*time.Millisecond)
		if w.Kind == "pub" || w.next < len(w.members) {
			wait = min(wait, time.Millisecond)
		}
		if err := w.turn(max(wait, 0)); err != nil {
			return err
		}
	}
	w.line(time.Since(begin), before)
	if w.failed == w.Count {
		return fmt.Errorf("bench: %s: no client could stay connected: %w", w.Kind, w.why)
	}
	return nil
}

// over reports whether --limit messages are through, or nobody is left.
func (w *crowd) over() bool {
	if w.failed == w.Count {
		return true
	}
	if w.Messages == 0 || w.Kind == "conn" || w.counter() < w.Messages {
		return false
	}
	for _, m := range w.members {
		if m.ids.n > 0 || m.c.backlog() > 0 {
			return false
		}
	}
	return true
}

func (w *crowd) counter() int64 {
	switch w.Kind {
	case "pub":
		return w.sent
	case "sub":
		return w.got
	}
	return int64(w.ready)
}

func (w *crowd) line(since time.Duration, before int64) {
	n := w.counter()
	text := fmt.Sprintf("%4.0fs %s connected=%d failed=%d", since.Seconds(), w.Kind, w.ready, w.failed)
	if w.Kind != "conn" {
		text += fmt.Sprintf(" total=%d rate=%d(msg/sec)", n, n-before)
	} else {
		text += fmt.Sprintf(" rate=%d(conn/sec)", n-before)
	}
	if w.latency.total > 0 {
		text += fmt.Sprintf(" p50=%sus p99=%sus", figure(float64(w.latency.quantile(0.5))/1e3), figure(float64(w.latency.quantile(0.99))/1e3))
	}
	if w.why != nil {
		text += " last error: " + w.why.Error()
	}
	_, _ = fmt.Fprintln(w.Out, text) // progress that cannot be shown stops nothing
}

// SPDX-License-Identifier: Apache-2.0

package broker_test

import (
	"encoding/hex"
	"fmt"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"emqttd/protocol/packet"
	"emqttd/protocol/parser"
	"emqttd/protocol/serializer"
	"emqttd/supervisor/broker/brokertest"
	"emqttd/supervisor/cell"
)

// A crash at every step: while clients go through all that MQTT has, the actor
// that reaches the nth place where it could crash does. Clients must see the
// same bytes as without, and no connection may end.

// fault is a way to crash, in an actor's own goroutine.
type fault struct {
	name string
	do   func(c *cell.Cell)
}

var faults = []fault{
	{"panic", func(*cell.Cell) { panic("injected") }},
	{"goexit", func(*cell.Cell) { runtime.Goexit() }},
	{"stop", func(c *cell.Cell) { c.Stop() }},
}

// nth crashes at the nth place that is reached.
type nth struct {
	n     int64
	do    func(c *cell.Cell)
	hits  atomic.Int64
	where atomic.Pointer[string]
}

// At implements cell.Hook. Supervisors are part of the trusted core.
func (h *nth) At(c *cell.Cell, p cell.Phase, m cell.Message) {
	if p == cell.Done || c.Kind().Name == "supervisor" {
		return
	}
	if h.hits.Add(1) == h.n {
		where := fmt.Sprintf("%s, %s, %T", c.Kind().Name, p, m)
		h.where.Store(&where)
		h.do(c)
	}
}

// hooked installs a hook until the test's end or the returned call.
func hooked(t testing.TB, h cell.Hook) (off func()) {
	off = func() { cell.SetHook(nil) }
	t.Cleanup(off)
	cell.SetHook(h)
	return off
}

// transcript is what one client saw, packet by packet.
type transcript struct {
	*peer
	lines *[]string
	name  string
}

func (s *transcript) see(packets ...packet.Packet) {
	s.t.Helper()
	for _, p := range packets {
		s.send(p)
	}
}

// reads notes n packets.
func (s *transcript) reads(n int) {
	s.t.Helper()
	for range n {
		p, err := s.next()
		if err != nil {
			*s.lines = append(*s.lines, s.name+" "+err.Error())
			return
		}
		b, err := serializer.Append(nil, p, s.Version())
		require.NoError(s.t, err)
		*s.lines = append(*s.lines, s.name+" "+hex.EncodeToString(b))
	}
}

// ends notes that the broker closes the connection.
func (s *transcript) ends() {
	s.t.Helper()
	p, err := s.next()
	if err != nil && hungUp(err) {
		*s.lines = append(*s.lines, s.name+" closed")
		return
	}
	*s.lines = append(*s.lines, fmt.Sprint(s.name, " not closed: ", p, err))
}

// everyday is what clients do in a day: it returns what they saw.
func everyday(t testing.TB, transport string, v packet.Version, settings ...string) []string {
	b := brokertest.AllowCrashes(t, append([]string{"runtime.actor_max_crashes=1000000"}, settings...)...)
	defer b.Stop()
	var lines []string
	start := func(name string, c *packet.Connect) *transcript {
		s := &transcript{speak(t, open(t, b, transport), c.Version), &lines, name}
		s.see(c)
		s.reads(1)
		return s
	}
	sub := start("sub", kept(v, "subscriber"))
	sub.see(&packet.Subscribe{ID: 1, Subscriptions: []packet.Subscription{{Filter: "t/#", QoS: 2}}})
	sub.reads(1)
	p := start("pub", seedConnect(t))
	for qos := range packet.QoS(3) {
		p.see(pub(qos, 7, fmt.Sprint("t/", qos), "payload"))
		sub.reads(1)
		switch qos {
		case packet.QoS1:
			p.reads(1)
			sub.see(&packet.Ack{Kind: packet.PUBACK, ID: 1})
		case packet.QoS2:
			p.reads(1)
			p.see(&packet.Ack{Kind: packet.PUBREL, ID: 7})
			p.reads(1)
			sub.see(&packet.Ack{Kind: packet.PUBREC, ID: 2})
			sub.reads(1)
			sub.see(&packet.Ack{Kind: packet.PUBCOMP, ID: 2})
		}
	}
	p.see(retained(pub(packet.QoS1, 8, "r", "kept")))
	p.reads(1)
	late := start("late", clean(v, "late"))
	late.see(&packet.Subscribe{ID: 2, Subscriptions: []packet.Subscription{{Filter: "r", QoS: 1}, {Filter: "t/bad/#/x", QoS: 1}}})
	late.reads(2)
	late.see(&packet.Ack{Kind: packet.PUBACK, ID: 1}, &packet.Unsubscribe{ID: 3, Filters: []string{"r"}})
	late.reads(1)
	dying := clean(v, "dying")
	dying.Will = &packet.Will{Topic: "t/will", Payload: []byte("gone"), QoS: 1}
	d := start("dying", dying)
	require.NoError(t, d.Close())
	sub.reads(1)
	sub.see(&packet.Ack{Kind: packet.PUBACK, ID: 3}, &packet.Pingreq{})
	sub.reads(1)
	again := start("again", kept(v, "subscriber")) // takes the session over
	if v == packet.V5 {
		sub.reads(1)
	}
	sub.ends()
	for _, s := range []*transcript{p, late, again} {
		s.see(&packet.Disconnect{})
		s.ends()
	}
	return lines
}

// seedConnect is the CONNECT of the captures.
func seedConnect(t testing.TB) *packet.Connect {
	_, p, _, err := parser.New(parser.Options{Role: parser.Server}).Parse(whole(seed(t, "connect_tcp.hex")), nil)
	require.NoError(t, err)
	return p.(*packet.Connect)
}

// everyStep, set in the environment, crashes at every single place; otherwise each
// way to crash takes every 13th, beginning elsewhere.
const everyStep = "EMQTTD_EVERY_STEP"

func TestACrashAtEveryStepIsSeenByNobody(t *testing.T) {
	stride := int64(13)
	switch {
	case os.Getenv(everyStep) != "":
		stride = 1
	case underRace:
		stride = 53
	}
	first := int64(0)
	for _, tt := range []struct {
		name      string
		transport string
		version   packet.Version
		settings  []string
	}{
		{"tcp", "tcp", packet.V5, nil},
		{"ws", "ws", packet.V311, nil},
		{"goroutines", "ws", packet.V5, []string{"runtime.engine=goroutine"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			want := everyday(t, tt.transport, tt.version, tt.settings...)
			for _, f := range faults {
				t.Run(f.name, func(t *testing.T) {
					first++
					for n := 1 + first%stride; ; n += stride {
						h := &nth{n: n, do: f.do}
						off := hooked(t, h)
						got := everyday(t, tt.transport, tt.version, tt.settings...)
						off()
						if h.where.Load() == nil {
							require.Greater(t, n, int64(500), "the day has become short")
							return
						}
						require.Equal(t, want, got, "place %d: %s", n, *h.where.Load())
					}
				})
			}
		})
	}
}

// random crashes one of so many places that are reached.
type random struct {
	oneOf uint64
	do    func(c *cell.Cell)
	seed  atomic.Uint64
	off   atomic.Bool
	kind  string   // of the actors that crash
	hit   sync.Map // messages that have crashed their actor: once is enough
	n     atomic.Int64
}

// At implements cell.Hook.
func (h *random) At(c *cell.Cell, p cell.Phase, m cell.Message) {
	if p == cell.Done || h.off.Load() || c.Kind().Name != h.kind {
		return
	}
	x := h.seed.Add(0x9e3779b97f4a7c15) // splitmix64
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	if (x^x>>31)%h.oneOf != 0 {
		return
	}
	if _, again := h.hit.LoadOrStore(m, true); again {
		return
	}
	h.n.Add(1)
	h.do(c)
}

func TestNothingIsLostWhileActorsOfConnectionsCrash(t *testing.T) {
	for _, engine := range []string{"epoll", "goroutine"} {
		for _, f := range faults {
			for _, kind := range []string{"ws_loop", "ws_client", "protocol", "session"} {
				t.Run(engine+"/"+f.name+"/"+kind, func(t *testing.T) {
					b := brokertest.AllowCrashes(t, "runtime.actor_max_crashes=1000000", "runtime.engine="+engine, "runtime.loops=2")
					h := &random{oneOf: 40, do: f.do, kind: kind}
					hooked(t, h)
					traffic(t, b, 8, 60)
					h.off.Store(true)
					require.Positive(t, h.n.Load())
					settled(t, b)
				})
			}
		}
	}
}

// SPDX-License-Identifier: Apache-2.0

package cell_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"emqttd/supervisor/cell"
	"emqttd/supervisor/mailbox"
)

// The model of one read: the packets of a read are one message to an actor. The
// first attempt decides about all of them in one step; when that crashes, the
// retry decides and commits packet by packet, so that a poisonous one takes none
// beside it along. Every packet may crash the decisions about it, as often as its
// nature lets it; all natures and all crashes are explored.

// readRules are the rules in force; the zero value is the reference.
type readRules struct {
	leak       bool // what the crashed attempt would have done is done
	noRewind   bool // the retry begins where the first attempt came to
	noAdvance  bool // the commit of a packet leaves the cursor where it is
	wholeAgain bool // the retry decides about all of them in one step, too
	perMessage bool // crashes are counted for the read, whichever packet they were of
	pardon     bool // the crash of a whole read counts for none of its packets
}

const (
	inRead = 3
	always = 3 // crashes that a packet has in it: as many as it is asked
)

// readState is one state of an actor with a read at the head of its mailbox.
type readState struct {
	nature   [inRead]uint8 // crashes that are left in each packet
	at       uint8         // packets whose decision is committed
	ahead    uint8         // packets that the decision under way has gone past
	deciding bool
	single   bool  // packet by packet
	attempts uint8 // crashes since the last commit
	part     uint8 // the packet that they were of
	scratch  list[uint8]
	outbox   list[uint8] // packets, or poison+packet: what is to be done
	done     [inRead]uint8
	poisoned [inRead]uint8
	own      [inRead]uint8 // crashes of decisions about the packet
	last     uint8         // what was done last, plus one
	disorder bool
}

const poisonAnswer = 0x10

func (r *readRules) moves(s readState) (out []string, to []readState) {
	add := func(name string, step func(s *readState)) {
		t := s
		step(&t)
		out, to = append(out, name), append(to, t)
	}
	switch {
	case s.outbox.n > 0:
		add("an effect", (*readState).perform)
	case !s.deciding && s.at < inRead && s.attempts >= 2:
		add("poison", func(s *readState) {
			s.outbox.push(poisonAnswer + s.at)
			s.at, s.attempts = s.at+1, 0
		})
	case !s.deciding && s.at < inRead:
		add("begins", func(s *readState) {
			s.deciding, s.single = true, s.attempts > 0 && !r.wholeAgain
		})
	case s.deciding && s.at+s.ahead == inRead:
		add("commits", func(s *readState) { r.commit(s); s.deciding, s.at = false, inRead })
	case s.deciding:
		p := s.at + s.ahead
		if s.nature[p] != always {
			add(fmt.Sprint("decides ", p), func(s *readState) {
				s.scratch.push(p)
				s.ahead++
				if s.single {
					r.commit(s)
				}
			})
		}
		if s.nature[p] > 0 {
			add(fmt.Sprint("crashes at ", p), func(s *readState) { r.crash(s, p) })
		}
	}
	return out, to
}

func (s *readState) perform() {
	switch e := s.outbox.pop(); {
	case e >= poisonAnswer:
		s.poisoned[e-poisonAnswer]++
		s.order(e - poisonAnswer)
	default:
		s.done[e] = min(2, s.done[e]+1)
		s.order(e)
	}
}

func (s *readState) order(p uint8) {
	s.disorder = s.disorder || p+1 <= s.last
	s.last = p + 1
}

func (r *readRules) commit(s *readState) {
	for _, p := range s.scratch.all() {
		s.outbox.push(p)
	}
	s.scratch, s.attempts = list[uint8]{}, 0
	if !r.noAdvance {
		s.at += s.ahead
	}
	if s.ahead = 0; s.single && s.at < inRead {
		s.outboxFirst()
	}
}

// outboxFirst: effects are performed when the message is done with, or a crash
// has ended the decision; in the model at once, which is one of those orders.
func (s *readState) outboxFirst() {
	for s.outbox.n > 0 {
		s.perform()
	}
}

func (r *readRules) crash(s *readState, p uint8) {
	if s.nature[p] != always {
		s.nature[p]--
	}
	s.own[p] = min(2, s.own[p]+1)
	if r.leak {
		for _, e := range s.scratch.all() {
			s.outbox.push(e)
		}
	}
	if r.noRewind {
		s.at += s.ahead
	}
	if r.pardon && !s.single {
		s.part = inRead // of none
	} else if s.part != p && !r.perMessage {
		s.part, s.attempts = p, 0
	}
	s.attempts = min(2, s.attempts+1)
	s.scratch, s.ahead, s.deciding = list[uint8]{}, 0, false
}

// wrong is what contract §2 excludes.
func (s *readState) wrong() string {
	for p := range inRead {
		switch {
		case s.done[p] > 1:
			return "handled twice"
		case s.poisoned[p] > 0 && s.own[p] < 2:
			return "poison that was none"
		case s.done[p] > 0 && s.poisoned[p] > 0:
			return "handled and refused"
		case s.disorder:
			return "out of order"
		case s.at == inRead && !s.deciding && s.outbox.n == 0 && s.done[p]+s.poisoned[p] == 0:
			return "lost"
		}
	}
	return ""
}

// exploreRead visits every state, from every nature of the packets.
func (r readRules) exploreRead() (states int, wrong map[string]string) {
	wrong = map[string]string{}
	type from struct {
		parent int
		move   string
	}
	for n := range (always + 1) * (always + 1) * (always + 1) {
		first := readState{nature: [inRead]uint8{uint8(n % 4), uint8(n / 4 % 4), uint8(n / 16)}}
		seen := map[readState]bool{first: true}
		all, way := []readState{first}, []from{{-1, ""}}
		for i := 0; i < len(all) && len(all) < 100_000; i++ {
			if what := all[i].wrong(); what != "" {
				if wrong[what] == "" {
					var steps []string
					for j := i; j > 0; j = way[j].parent {
						steps = append(steps, way[j].move)
					}
					slices.Reverse(steps)
					wrong[what] = fmt.Sprint("crashes in them ", first.nature, ": ", strings.Join(steps, " > "))
				}
				continue // what follows a wrong is no finding
			}
			names, to := r.moves(all[i])
			for k, t := range to {
				if !seen[t] {
					seen[t] = true
					all, way = append(all, t), append(way, from{i, names[k]})
				}
			}
			if len(to) == 0 && all[i].at < inRead {
				wrong["stuck"] = "nothing can happen"
			}
		}
		states += len(all)
	}
	return states, wrong
}

// Whatever crashes, each packet of a read is handled once, in order, or refused
// because it has crashed the decision about itself twice.
func TestAReadIsHandledPacketByPacketWhenItCrashes(t *testing.T) {
	states, wrong := readRules{}.exploreRead()
	t.Logf("%d states", states)
	require.Empty(t, wrong)
	require.Greater(t, states, 1000)
	_, wrong = readRules{pardon: true}.exploreRead()
	require.Empty(t, wrong, "it would do, too, and try a poisonous packet three times")
}

func TestTheRulesOfAReadAreThereForAReason(t *testing.T) {
	for name, c := range map[string]struct {
		rules readRules
		wrong string
	}{
		"effects of the crashed attempt are done":         {readRules{leak: true}, "handled twice"},
		"the retry begins where the first attempt was":    {readRules{noRewind: true}, "lost"},
		"a committed packet is decided about again":       {readRules{noAdvance: true}, "handled twice"},
		"the retry decides about all of them, too":        {readRules{wholeAgain: true}, "poison that was none"},
		"crashes are counted for the read, not by packet": {readRules{perMessage: true}, "poison that was none"},
	} {
		t.Run(name, func(t *testing.T) {
			states, wrong := c.rules.exploreRead()
			for what, way := range wrong {
				t.Logf("%d states; %s: %s", states, what, way)
			}
			require.Contains(t, wrong, c.wrong)
		})
	}
}

// packets is a read for a cell.
type packets struct {
	mailbox.Link
	at, ahead int
}

func (b *packets) Place() int { return b.at + b.ahead }
func (b *packets) Advance()   { b.at, b.ahead = b.at+b.ahead, 0 }
func (b *packets) Rewind()    { b.ahead = 0 }

// TestACellKeepsToTheModelOfARead: a packet that crashes once is handled, whatever
// crashes beside it, and one that always does is refused.
func TestACellKeepsToTheModelOfARead(t *testing.T) {
	const always = 7 // a bit for each of the first three decisions about a packet: it crashes
	for n := range (always + 1) * (always + 1) * (always + 1) {
		nature := [inRead]int{n % 8, n / 8 % 8, n / 64}
		w := newWorld(t)
		var tried, own [inRead]int
		decide := func(p int) {
			tried[p]++
			if nature[p] == always || nature[p]>>(tried[p]-1)&1 == 1 {
				own[p]++
				panic(fmt.Sprint("packet ", p))
			}
		}
		var done []string
		heard := w.start(cell.New(kindOf("heard", func(ctx *cell.Context) { done = append(done, ctx.Message().(*text).s) }), "heard", w.g, nil))
		c := w.start(cell.New(kindOf("c", func(ctx *cell.Context) {
			switch m := ctx.Message().(type) {
			case *packets:
				for single := ctx.Again(); m.Place() < inRead; {
					decide(m.Place())
					ctx.Cast(heard, &text{s: fmt.Sprint("packet ", m.Place())})
					m.ahead++
					if single {
						ctx.Commit(m)
					}
				}
			case *cell.Poison:
				b := m.Message.(*packets)
				ctx.Cast(heard, &text{s: fmt.Sprint("poison ", b.at)})
				ctx.Return(b)
				b.ahead++
				ctx.Commit(b)
			}
		}), "c", w.g, nil))
		c.Push(new(packets))
		w.drain()
		require.Len(t, done, inRead, "crashes in them %v", nature)
		for p, what := range done {
			switch what {
			case fmt.Sprint("packet ", p):
				require.NotEqual(t, always, nature[p])
			case fmt.Sprint("poison ", p):
				require.GreaterOrEqual(t, own[p], 2, "crashes in them %v: %v", nature, done)
			default:
				require.Fail(t, "out of order", "crashes in them %v: %v", nature, done)
			}
		}
	}
}

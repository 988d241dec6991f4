// SPDX-License-Identifier: Apache-2.0

package session_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"emqttd/actors/cast"
	"emqttd/actors/session"
	"emqttd/actors/store"
	"emqttd/actors/store/memory"
	"emqttd/protocol/packet"
	"emqttd/supervisor/stagetest"
)

// ear is a client that keeps the rules: it takes QoS 2 by its identifier once,
// also over connections, and acknowledges one packet at a time.
type ear struct {
	got, first map[string]int // payloads; without DUP
	held       map[packet.ID]bool
	owes       []cast.Ack
}

func newEar() *ear {
	return &ear{got: map[string]int{}, first: map[string]int{}, held: map[packet.ID]bool{}}
}

func (e *ear) clone() *ear {
	return &ear{got: maps.Clone(e.got), first: maps.Clone(e.first), held: maps.Clone(e.held)}
}

// listen takes what was sent on a connection.
func (e *ear) listen(c *end) {
	for _, m := range c.client.Take() {
		d := m.(*cast.Deliver)
		for _, x := range d.Deliveries {
			text := string(x.Message.Payload)
			if x.QoS == packet.QoS2 && !e.held[x.ID] || x.QoS < packet.QoS2 {
				e.got[text]++
			}
			if !x.Dup {
				e.first[text]++
			}
			switch x.QoS {
			case packet.QoS1:
				e.owes = append(e.owes, cast.Ack{Kind: packet.PUBACK, ID: x.ID})
			case packet.QoS2:
				e.held[x.ID] = true
				e.owes = append(e.owes, cast.Ack{Kind: packet.PUBREC, ID: x.ID})
			}
		}
		for _, id := range d.Pubrel {
			delete(e.held, id)
			e.owes = append(e.owes, cast.Ack{Kind: packet.PUBCOMP, ID: id})
		}
	}
}

// answer sends the acknowledgement that is owed first; it reports false when there
// is none.
func (e *ear) answer(d *desk, c *end) bool {
	if len(e.owes) == 0 {
		return false
	}
	ack := e.owes[0]
	e.owes = e.owes[1:]
	d.tell(&cast.Acked{Epoch: c.epoch, Acks: []cast.Ack{ack}})
	e.listen(c)
	return true
}

// moment is what there was when the process may have been killed.
type moment struct {
	ear     *ear
	commits int // accepted
	durable int // of them, those that an answer has waited for, and those before
}

// moment is what there is now.
func (d *desk) moment(hears *ear) moment {
	m := moment{ear: hears.clone(), commits: len(d.engine.commits)}
	for i, commit := range d.engine.commits {
		if commit.Waits() {
			m.durable = i + 1
		}
	}
	return m
}

// cutLookup subscribes to retained messages and says what there was at each step;
// away is the step behind which the client is gone for a while, -1 for none.
func cutLookup(t *testing.T, messages int, qos packet.QoS, away int) (*desk, []moment) {
	d := newDesk(t, stagetest.New(t))
	for i := range messages {
		d.publish(retained(qos, fmt.Sprint("r/", i), fmt.Sprint("m", i)))
	}
	c, hears := d.open(kept), newEar()
	var all []moment
	note := func() { all = append(all, d.moment(hears)) }
	d.subscribe(c, filter("r/#", qos), filter("none/+", qos), filter("r/3", qos), filter("live", qos))
	suback := 1 + slices.IndexFunc(d.engine.commits, func(c *store.Commit) bool { return c.Ops[0].Kind == store.PutFilter })
	all = append(all, moment{ear: hears.clone(), commits: suback, durable: suback})
	hears.listen(c)
	note()
	for step := 0; ; step++ {
		if step == away {
			d.detach(c, false)
			hears.owes = nil
			note()
			c = d.attach(kept)
			hears.listen(c)
			note()
		}
		if !hears.answer(d, c) {
			break
		}
		note()
	}
	return d, all
}

// goOn starts on the first commits alone and takes the rest of what is owed.
func goOn(t *testing.T, commits []*store.Commit, hears *ear) (*desk, *ear) {
	d, c, hears := comeBack(t, commits, hears, 0)
	for hears.answer(d, c) {
	}
	return d, hears
}

// comeBack starts on the first commits alone, and the client is back when others have
// published so many messages for it.
func comeBack(t *testing.T, commits []*store.Commit, hears *ear, live int) (*desk, *end, *ear) {
	e := memory.New()
	e.Write(commits, func(err error) { require.NoError(t, err) })
	d := newDeskOn(t, stagetest.New(t), e)
	var in []store.Stored
	require.NoError(t, e.Resume(func(s store.Stored) bool { in = append(in, s); return true }))
	require.Len(t, in, 1)
	d.epoch = in[0].Record.Epoch
	d.s = session.Restore(session.Kind(d.env), d.pub, in[0], d.w.Group, d.w.Clock.Now(), 0)
	d.w.Start(d.s.Cell())
	d.w.Drain()
	for i := range live {
		d.publish(msg(2, "live", fmt.Sprint("live", i)))
	}
	c := d.attach(kept)
	hears = hears.clone()
	hears.listen(c)
	return d, c, hears
}

// What a SUBSCRIBE was promised of retained messages is delivered although the
// process was killed at any moment behind its SUBACK, with any part of what was
// not durable lost: QoS 2 once, QoS 1 again with DUP only.
func TestALookupOutlivesTheProcess(t *testing.T) {
	const messages = 9
	for qos := range packet.QoS2 + 1 {
		for _, away := range []int{-1, 3} {
			t.Run(fmt.Sprintf("QoS %d, away at %d", qos, away), func(t *testing.T) {
				d, moments := cutLookup(t, messages, qos, away)
				resumed := 0
				for i, m := range moments {
					last := m.commits
					if i+1 < len(moments) && qos > 0 { // the next step's, before anything of it has left
						last = max(last, moments[i+1].durable)
					}
					for n := m.durable; n <= last; n++ {
						_, heard := goOn(t, d.engine.commits[:n], m.ear)
						what := fmt.Sprintf("step %d, %d of %d commits durable", i, n, last)
						require.Len(t, heard.got, messages, what)
						for text, times := range heard.got {
							most := 1
							if text == "m3" {
								most = 2 // it is asked for twice
							}
							switch qos {
							case packet.QoS2:
								require.LessOrEqual(t, times, most, "%s: %s", what, text)
							case packet.QoS1:
								require.LessOrEqual(t, heard.first[text], most, "%s: %s, without DUP", what, text)
							}
						}
						if len(heard.got) > len(m.ear.got) {
							resumed++
						}
					}
				}
				if qos == packet.QoS0 {
					require.Positive(t, resumed)
				} else {
					require.Greater(t, resumed, messages)
				}
			})
		}
	}
}

// The same, killed twice: what was in flight at the first kill the client may be done
// with before the lookup that has found it goes on.
func TestALookupOutlivesTheProcessTwice(t *testing.T) {
	const messages, live = 4, 5 // more than the window: the lookup waits behind them
	first, moments := cutLookup(t, messages, packet.QoS2, -1)
	for i, m := range moments {
		last := m.commits
		if i+1 < len(moments) {
			last = max(last, moments[i+1].durable)
		}
		for n := m.durable; n <= last; n++ {
			before := first.engine.commits[:n]
			d, c, hears := comeBack(t, before, m.ear, live)
			for step, more := 0, true; more; step++ {
				again := d.moment(hears)
				for k := again.durable; k <= again.commits; k++ {
					_, heard := goOn(t, slices.Concat(before, d.engine.commits[:k]), again.ear)
					what := fmt.Sprintf("killed at step %d with %d commits, then at step %d with %d", i, n, step, k)
					require.Len(t, heard.got, messages+live, what)
					for text, times := range heard.got {
						most := 1
						if text == "m3" {
							most = 2 // it is asked for twice
						}
						require.LessOrEqual(t, times, most, "%s: %s", what, text)
					}
				}
				more = hears.answer(d, c)
			}
		}
	}
}

// What a lookup has come to its end with, or was unsubscribed, or replaced, or
// ended with its session, is owed to nobody after a kill.
func TestNothingIsOwedBehindTheEndOfALookup(t *testing.T) {
	for name, end := range map[string]func(*desk, *end){
		"through": func(d *desk, e *end) {
			hears := newEar()
			for hears.listen(e); hears.answer(d, e); {
			}
		},
		"unsubscribed": func(d *desk, e *end) {
			d.tell(&cast.Unsubscribe{Epoch: e.epoch, Packet: &packet.Unsubscribe{ID: 2, Filters: []string{"r/+"}}})
		},
		"replaced": func(d *desk, e *end) {
			d.subscribe(e, packet.Subscription{Filter: "r/+", QoS: 1, RetainHandling: 2})
		},
		"clean start": func(d *desk, e *end) {
			d.detach(e, false)
			d.tell(&cast.Destroy{})
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t, stagetest.New(t))
			for i := range 9 {
				d.publish(retained(1, fmt.Sprint("r/", i), fmt.Sprint("m", i)))
			}
			e := d.open(kept)
			d.subscribe(e, filter("r/+", 1))
			owed := func() (out []store.Filter) {
				require.NoError(t, d.engine.Sessions(func(s store.Stored) bool {
					out = append(out, s.Filters...)
					return true
				}))
				return slices.DeleteFunc(out, func(f store.Filter) bool { return f.Owed == nil })
			}
			require.Len(t, owed(), 1)
			end(d, e)
			require.Empty(t, owed())
		})
	}
}

// Most subscriptions match nothing retained: nothing is noted of them.
func TestWhereNothingIsRetainedNothingIsOwed(t *testing.T) {
	d := newDesk(t, stagetest.New(t))
	d.publish(retained(1, "r/1", "m"))
	e := d.open(kept)
	d.subscribe(e, filter("r/2", 1), filter("q/#", 1))
	for _, op := range d.engine.ops {
		if op.Filter != nil {
			require.Nil(t, op.Filter.Owed, op.Filter.Text)
		}
	}
}

// A SUBSCRIBE behind the kill is a new one: it is given all that is retained,
// also what the cut lookup has found.
func TestASubscribeBehindAKillIsGivenEverything(t *testing.T) {
	d, moments := cutLookup(t, 9, 1, -1)
	d, _ = goOn(t, d.engine.commits[:moments[2].commits], moments[2].ear)
	e, hears := d.attach(kept), newEar()
	d.subscribe(e, filter("r/#", 1))
	for hears.listen(e); hears.answer(d, e); {
	}
	require.Len(t, hears.got, 9)
}

// A SUBSCRIBE that repeats one is given what came live before it, also when that
// is not acknowledged yet and the process is killed.
func TestWhatIsInFlightLiveIsOwedToALaterSubscribe(t *testing.T) {
	d := newDesk(t, stagetest.New(t))
	e := d.open(kept)
	d.subscribe(e, filter("t", 2))
	d.publish(retained(2, "t", "kept"))
	require.Equal(t, []string{"q2 #1 kept"}, e.sent())
	d.subscribe(e, filter("t", 2))
	suback := 1 + slices.IndexFunc(d.engine.commits, func(c *store.Commit) bool { return c.Ops[0].Filter != nil && c.Ops[0].Filter.Owed != nil })
	require.Positive(t, suback)
	_, hears := goOn(t, d.engine.commits[:suback], newEar())
	require.Equal(t, map[string]int{"kept": 2}, hears.got)
}

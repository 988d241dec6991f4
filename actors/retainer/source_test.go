// SPDX-License-Identifier: Apache-2.0

package retainer_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"emqttd/actors/cast"
	"emqttd/actors/retainer"
	"emqttd/protocol/message"
	"emqttd/supervisor/group"
)

// shelf is a source, which a test can make wait.
type shelf struct {
	has   map[string]*message.Message
	gate  chan struct{} // closed: nothing waits
	asked chan []string
	err   error
}

func (s *shelf) Lookup(topics []string) ([]*message.Message, error) {
	s.asked <- topics
	<-s.gate
	var out []*message.Message
	for _, name := range topics {
		out = append(out, s.has[name])
	}
	return out, s.err
}

// shelved is a desk whose messages are on a shelf, but for those that fit room.
func shelved(t *testing.T, room int64, queue int) (*desk, *shelf) {
	d := newDesk(t, &cast.Limits{})
	s := &shelf{has: map[string]*message.Message{}, gate: make(chan struct{}), asked: make(chan []string, 100)}
	pool := group.NewPool(1, queue)
	t.Cleanup(pool.Close)
	d.index.From(s, pool, room)
	return d, s
}

func (d *desk) store(s *shelf, m *message.Message) {
	m.ID.Seq = uint64(len(s.has) + 1)
	d.index.Put(m)
	s.has[m.Topic] = m
	d.index.Stored([]*message.Message{m})
}

// hears runs the actors until so many answers have come.
func (d *desk) hears(t *testing.T, n int) {
	t.Helper()
	require.Eventually(t, func() bool {
		d.clock.now.Add(int64(20 * time.Millisecond))
		d.g.Tick()
		d.drain()
		return len(d.heard) == n
	}, 10*time.Second, time.Millisecond)
}

func names(ms []*message.Message) (out []string) {
	for _, m := range ms {
		out = append(out, m.Topic+"="+string(m.Payload))
	}
	slices.Sort(out)
	return out
}

func (d *desk) match(filter string, token uint64) {
	d.actor.Push(&cast.Match{Subs: filters(filter), Max: 10, Reply: d.reply, Token: token})
	d.drain()
}

func TestWhatDoesNotFitIsReadFromTheStore(t *testing.T) {
	d, s := shelved(t, int64(msg("a/1", "1").Size()), 10)
	close(s.gate)
	for i := range 3 {
		d.store(s, msg(fmt.Sprint("a/", i+1), fmt.Sprint(i+1)))
	}
	m, there := d.index.Peek("a/1")
	require.NotNil(t, m)
	require.True(t, there)
	m, there = d.index.Peek("a/2")
	require.Nil(t, m)
	require.True(t, there)
	require.Less(t, d.index.Bytes(), int64(3*msg("a/1", "1").Size()))
	d.match("a/#", 1)
	d.hears(t, 1)
	require.Equal(t, []string{"a/1=1", "a/2=2", "a/3=3"}, names(d.heard[0].Messages))
	require.Equal(t, []string{"a/2", "a/3"}, slices.Sorted(slices.Values(<-s.asked)), "and not the one in memory")
	require.Equal(t, "3", string(d.index.Get("a/3").Payload))
	require.Equal(t, []string{"a/1=1", "a/2=2", "a/3=3"}, walk(d.index, "#"))

	// One that is not stored yet is in memory however little room there is.
	d.index.Put(msg("a/2", "newer"))
	m, _ = d.index.Peek("a/2")
	require.Equal(t, "newer", string(m.Payload))
	d.index.Stored([]*message.Message{s.has["a/2"]}) // the older
	m, _ = d.index.Peek("a/2")
	require.NotNil(t, m)
	d.index.Put(msg("a/3", ""))
	require.False(t, d.index.Has("a/3"))
	d.index.Put(msg("a/1", ""))
	d.index.Put(msg("a/2", ""))
	require.Zero(t, d.index.Bytes())
}

func TestWhatIsGoneFromTheStoreMeanwhileIsLeftOut(t *testing.T) {
	d, s := shelved(t, 0, 10)
	close(s.gate)
	d.store(s, msg("a/1", "1"))
	d.store(s, msg("a/2", "2"))
	delete(s.has, "a/1")
	d.match("a/+", 1)
	d.hears(t, 1)
	require.Equal(t, []string{"a/2=2"}, names(d.heard[0].Messages))
	s.err = errors.New("the disk is broken")
	d.match("a/+", 2)
	d.hears(t, 2)
	require.Empty(t, d.heard[1].Messages)
	require.True(t, d.heard[1].Done)
}

func TestALookupWaitsForThePool(t *testing.T) {
	d, s := shelved(t, 0, 1)
	d.store(s, msg("a", "1"))
	for token := range uint64(5) { // one is read, one is in the queue of the pool
		d.match("a", token)
	}
	<-s.asked
	require.Empty(t, d.heard)
	close(s.gate)
	d.hears(t, 5)
	var tokens []uint64
	for _, m := range d.heard {
		require.Equal(t, []string{"a=1"}, names(m.Messages))
		tokens = append(tokens, m.Token)
	}
	require.ElementsMatch(t, []uint64{0, 1, 2, 3, 4}, tokens)
}

func TestALookupWaitsUntilTheIndexIsLoaded(t *testing.T) {
	d, s := shelved(t, 1<<20, 10)
	close(s.gate)
	take, end := d.index.Load()
	take(msg("a/old", "old"))
	d.index.Put(msg("a/cleared", ""))
	d.index.Put(msg("a/newer", "newer"))
	take(msg("a/cleared", "was cleared since"))
	take(msg("a/newer", "was replaced since"))
	d.match("a/#", 1)
	d.clock.now.Add(int64(time.Second))
	d.g.Tick()
	d.drain()
	require.Empty(t, d.heard)
	end()
	d.hears(t, 1)
	require.Equal(t, []string{"a/newer=newer", "a/old=old"}, names(d.heard[0].Messages))
}

var _ retainer.Source = (*shelf)(nil)

// SPDX-License-Identifier: Apache-2.0

package pebble

import (
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/stretchr/testify/require"

	"emqttd/actors/store"
	"emqttd/actors/store/memory"
)

// crash is the disk as a power loss left it, and how many commits had been
// acknowledged before.
type crash struct {
	disk  *vfs.MemFS
	acked int
}

// outages cuts the power before operations of the file system: all that was not
// synced is lost, or of every block and name by chance.
type outages struct {
	mu      sync.Mutex
	rng     *rand.Rand
	disk    *vfs.MemFS
	one     int // of so many operations
	acked   atomic.Int64
	crashes []crash
}

func (o *outages) String() string { return "outages" }

// MaybeError implements errorfs.Injector; it never returns an error.
func (o *outages) MaybeError(op errorfs.Op) error {
	if op.Kind.ReadOrWrite() != errorfs.OpIsWrite {
		return nil
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.rng.IntN(o.one) > 0 {
		return nil
	}
	acked := int(o.acked.Load())
	cfg := vfs.CrashCloneCfg{UnsyncedDataPercent: []int{0, 0, 50, 90}[o.rng.IntN(4)], RNG: o.rng}
	o.crashes = append(o.crashes, crash{o.disk.CrashClone(cfg), acked})
	return nil
}

// program is commits in groups and what the memory engine holds before the first
// and behind each of them.
type program struct {
	groups [][]*store.Commit
	states []string
}

func newProgram(t *testing.T, h *history, groups int) *program {
	reference := memory.New()
	p := &program{states: []string{dump(t, reference)}}
	for range groups {
		var g []*store.Commit
		for range 1 + h.rng.IntN(3) {
			c := h.commit()
			g = append(g, c)
			write(t, reference, c)
			p.states = append(p.states, dump(t, reference))
		}
		p.groups = append(p.groups, g)
	}
	return p
}

// run writes the groups from commit number from on; acked gets the number of
// those that are durable because somebody waited for them.
func (p *program) run(e *Engine, from int, acked *atomic.Int64) {
	var wg sync.WaitGroup
	n := 0
	for _, g := range p.groups {
		n += len(g)
		if n <= from {
			continue
		}
		g = g[max(0, len(g)-(n-from)):]
		upTo := int64(n)
		waits := slices.ContainsFunc(g, func(c *store.Commit) bool { return c.Reply != nil })
		wg.Add(1)
		e.Write(g, func(err error) {
			if err == nil && waits {
				acked.Store(upTo)
			}
			wg.Done()
		})
		if n%3 == 0 {
			wg.Wait() // else several groups become one batch
		}
	}
	wg.Wait()
}

func TestAPowerLossLeavesAPrefixWithEverythingAcknowledged(t *testing.T) {
	for name, c := range map[string]struct{ payload, groups, one, seeds int }{
		"at every operation":                       {40, 25, 1, 4},
		"with tables flushed and compacted":        {30_000, 150, 8, 2},
		"in the middle of large batches and tails": {200_000, 30, 6, 3},
	} {
		t.Run(name, func(t *testing.T) {
			if testing.Short() {
				c.seeds = 1
			}
			for seed := range uint64(c.seeds) {
				h := newHistory(seed)
				h.payload = c.payload
				p := newProgram(t, h, c.groups)
				disk := vfs.NewCrashableMem()
				o := &outages{rng: h.rng, disk: disk, one: c.one}
				e := open(t, errorfs.Wrap(disk, o), "data/store")
				p.run(e, 0, &o.acked)
				require.NoError(t, e.Close())
				o.acked.Store(int64(len(p.states) - 1))
				o.crashes = append(o.crashes, crash{disk.CrashClone(vfs.CrashCloneCfg{}), len(p.states) - 1})
				require.Greater(t, len(o.crashes), 10)
				for i, crashed := range o.crashes {
					p.recovers(t, crashed, i%5 == 0)
				}
				t.Logf("seed %d: %d power losses, %d commits", seed, len(o.crashes), len(p.states)-1)
			}
		})
	}
}

// recovers opens what a crash left, and may go on from there to the end.
func (p *program) recovers(t *testing.T, c crash, on bool) {
	e := open(t, c.disk, "data/store")
	got := dump(t, e)
	k := slices.Index(p.states[c.acked:], got)
	require.GreaterOrEqual(t, k, 0, "after %d commits were acknowledged there is\n%s\nwhich no longer prefix left; acknowledged was\n%s", c.acked, got, p.states[c.acked])
	check(t, e)
	if on {
		p.run(e, c.acked+k, new(atomic.Int64))
		require.Equal(t, p.states[len(p.states)-1], dump(t, e))
	}
	require.NoError(t, e.Close())
}

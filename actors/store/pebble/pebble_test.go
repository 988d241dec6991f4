// SPDX-License-Identifier: Apache-2.0

package pebble

import (
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"emqttd/actors/store"
	"emqttd/actors/store/storetest"
)

// open opens dir on f; a failure that the test does not expect ends it.
func open(t require.TestingT, f vfs.FS, dir string) *Engine {
	e, err := Open(dir, Options{FS: f, Fatal: func(err error) { panic(err) }, CacheBytes: 1 << 20, MemtableBytes: 1 << 20})
	require.NoError(t, err)
	return e
}

func TestTheEngineKeepsTheContract(t *testing.T) {
	t.Run("in memory", func(t *testing.T) {
		storetest.Run(t, func() store.Engine { return open(t, vfs.NewMem(), "data") })
	})
	t.Run("on disk", func(t *testing.T) {
		if testing.Short() {
			t.Skip("a new database for each of some hundred histories")
		}
		storetest.Run(t, func() store.Engine { return open(t, vfs.Default, t.TempDir()) })
	})
}

// reopened closes the engine and opens it again before each read, so that what
// storetest reads has been on the disk.
type reopened struct {
	t  require.TestingT
	fs vfs.FS
	*Engine
}

func (r *reopened) again() *Engine {
	require.NoError(r.t, r.Engine.Close())
	r.Engine = open(r.t, r.fs, "data")
	return r.Engine
}

func (r *reopened) Sessions(yield func(store.Stored) bool) error { return r.again().Sessions(yield) }

func (r *reopened) Resume(yield func(store.Stored) bool) error { return r.again().Resume(yield) }

func (r *reopened) Last() uint64 { return r.again().Last() }

func (r *reopened) Order() uint64 { return r.again().Order() }

func TestAnEngineThatIsOpenedAgainBeforeEachReadKeepsTheContract(t *testing.T) {
	storetest.Run(t, func() store.Engine {
		f := vfs.NewMem()
		return &reopened{t, f, open(t, f, "data")}
	})
}

// TestWhatOpenHasReadIsResumedOnce: and not at all when something was written since.
func TestWhatOpenHasReadIsResumedOnce(t *testing.T) {
	f := vfs.NewMem()
	e := open(t, f, "data")
	write(t, e, synced(put(1), give(1, 1)))
	require.NoError(t, e.Close())
	resume := func() (out []int) {
		require.NoError(t, e.Resume(func(s store.Stored) bool {
			out = append(out, len(s.Waiting))
			return true
		}))
		return out
	}
	for _, c := range []struct {
		name string
		do   func()
		want []int
	}{
		{"as it was opened", func() {}, []int{1}},
		{"behind a write", func() { write(t, e, synced(put(2))) }, []int{1, 0}},
	} {
		e = open(t, f, "data")
		require.NotEmpty(t, e.resumed)
		c.do()
		require.Equal(t, c.want, resume(), c.name)
		require.Empty(t, e.resumed, "it takes memory no longer")
		require.Equal(t, c.want, resume(), c.name)
		require.NoError(t, e.Close())
	}
}

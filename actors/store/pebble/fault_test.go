// SPDX-License-Identifier: Apache-2.0

package pebble

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/stretchr/testify/require"

	"emqttd/actors/store"
	"emqttd/protocol/message"
)

func put(number uint64) store.Op {
	return store.Op{Kind: store.PutSession, Session: number, Record: &store.Record{ClientID: fmt.Sprint("c", number), Expiry: never}}
}

func give(seq uint64, sessions ...uint64) store.Op {
	return store.Op{Kind: store.Append, Sessions: sessions,
		Message: &message.Message{ID: message.ID{Seq: seq}, Topic: "t", QoS: 1, Payload: fmt.Appendf(nil, "payload %d", seq)}}
}

func synced(ops ...store.Op) *store.Commit { return &store.Commit{Ops: ops, Reply: somebody} }

func lazy(ops ...store.Op) *store.Commit { return &store.Commit{Ops: ops} }

// waiting is the positions in the queue of each session.
func waiting(t require.TestingT, e store.Engine) map[uint64][]uint64 {
	out := map[uint64][]uint64{}
	require.NoError(t, e.Sessions(func(s store.Stored) bool {
		out[s.Session] = []uint64{}
		for _, m := range s.Queue {
			out[s.Session] = append(out[s.Session], m.ID.Seq)
		}
		return true
	}))
	return out
}

// broken lets operations fail from a moment on.
type broken struct {
	on  atomic.Bool
	err error
	at  func(errorfs.Op) bool
}

func (b *broken) String() string { return "broken" }

// MaybeError implements errorfs.Injector.
func (b *broken) MaybeError(op errorfs.Op) error {
	if b.on.Load() && b.at(op) {
		return b.err
	}
	return nil
}

func isSync(op errorfs.Op) bool {
	return op.Kind == errorfs.OpFileSync || op.Kind == errorfs.OpFileSyncData || op.Kind == errorfs.OpFileSyncTo
}

func isLog(op errorfs.Op) bool { return strings.HasSuffix(op.Path, ".log") }

func TestAfterAFailedWriteNothingIsAcknowledgedAndTheNextStartRecovers(t *testing.T) {
	for _, c := range []struct {
		name string
		err  error
		at   func(errorfs.Op) bool
	}{
		{"a sync fails", syscall.EIO, func(op errorfs.Op) bool { return isSync(op) && isLog(op) }},
		{"a write fails", syscall.EIO, func(op errorfs.Op) bool { return op.Kind == errorfs.OpFileWrite && isLog(op) }},
		{"the disk is full", syscall.ENOSPC, func(op errorfs.Op) bool { return op.Kind == errorfs.OpFileWrite && isLog(op) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			disk := vfs.NewCrashableMem()
			b := &broken{err: c.err, at: c.at}
			var fatal []error
			e, err := Open("data", Options{FS: errorfs.Wrap(disk, b), Fatal: func(err error) { fatal = append(fatal, err) }})
			require.NoError(t, err)
			write(t, e, synced(put(1), give(1, 1)))
			b.on.Store(true)
			var wg sync.WaitGroup
			var good atomic.Int64
			for seq := range uint64(20) {
				wg.Add(1)
				e.Write([]*store.Commit{synced(give(2+seq, 1))}, func(err error) {
					if err == nil {
						good.Add(1)
					} else if !errors.Is(err, c.err) && !strings.Contains(err.Error(), c.err.Error()) {
						t.Errorf("%v does not say why", err)
					}
					wg.Done()
				})
			}
			wg.Wait()
			require.Zero(t, good.Load())
			b.on.Store(false)
			for _, commit := range []*store.Commit{synced(give(90, 1)), lazy(give(91, 1))} {
				done := make(chan error, 1)
				e.Write([]*store.Commit{commit}, func(err error) { done <- err })
				require.Error(t, <-done, "also when the disk works again")
			}
			require.Error(t, e.Sessions(func(store.Stored) bool { return true }))
			require.Error(t, e.Close())
			require.Len(t, fatal, 1)
			e = open(t, disk.CrashClone(vfs.CrashCloneCfg{}), "data")
			require.Equal(t, []uint64{1}, waiting(t, e)[1])
			require.NoError(t, e.Close())
		})
	}
}

func TestOpenSaysWhatItCannotDo(t *testing.T) {
	for name, at := range map[string]func(errorfs.Op) bool{
		"no file can be made":   func(op errorfs.Op) bool { return op.Kind == errorfs.OpCreate && !strings.HasSuffix(op.Path, "LOCK") },
		"nothing can be synced": isSync,
		"no log can be made":    func(op errorfs.Op) bool { return op.Kind == errorfs.OpCreate && isLog(op) },
	} {
		t.Run(name, func(t *testing.T) {
			disk := vfs.NewMem()
			b := &broken{err: &fs.PathError{Op: "x", Path: "y", Err: syscall.ENOSPC}, at: at}
			b.on.Store(true)
			_, err := Open("data", Options{FS: errorfs.Wrap(disk, b)})
			require.ErrorIs(t, err, syscall.ENOSPC)
			require.ErrorContains(t, err, "data")
			b.on.Store(false)
			e := open(t, disk, "data")
			require.NoError(t, e.Close())
		})
	}
}

func TestRoomEndsBeforeTheDiskDoes(t *testing.T) {
	disk := vfs.NewMem()
	usage := func(free uint64) { disk.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: free, TotalBytes: 1 << 40}) }
	usage(1 << 30)
	e, err := Open("data", Options{FS: disk, MinFree: 1 << 20})
	require.NoError(t, err)
	require.True(t, e.Room())
	look := func() bool {
		e.spaceAt.Store(int64(-time.Hour)) // a second is over
		e.Room()
		require.NoError(t, e.do(func() {})) // the writer has been round
		require.NoError(t, e.do(func() {}))
		return e.Room()
	}
	usage(1<<20 - 1)
	require.False(t, look())
	write(t, e, synced(put(1))) // what has to be written goes on
	usage(1 << 20)
	require.True(t, look())
	require.NoError(t, e.Close())
	e, err = Open("data", Options{FS: disk})
	require.NoError(t, err)
	usage(0)
	require.True(t, look(), "without a bound there is room")
	require.NoError(t, e.Close())
}

func TestASecondBrokerIsKeptOut(t *testing.T) {
	dir := t.TempDir()
	e := open(t, vfs.Default, dir)
	_, err := Open(dir, Options{})
	require.ErrorIs(t, err, ErrLocked)
	require.ErrorContains(t, err, dir)
	require.NoError(t, e.Close())
	e = open(t, vfs.Default, dir)
	require.NoError(t, e.Close())
}

func TestADirectoryThatCannotBeWrittenIsNoLockedOne(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	_, err := Open(filepath.Join(file, "data"), Options{})
	require.Error(t, err)
	require.NotErrorIs(t, err, ErrLocked)
}

// damage changes files of dir that match pattern, and returns how many.
func damage(t *testing.T, dir, pattern string, how func([]byte) []byte) int {
	files, err := filepath.Glob(filepath.Join(dir, pattern))
	require.NoError(t, err)
	for _, name := range files {
		b, err := os.ReadFile(name)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(name, how(b), 0o600))
	}
	return len(files)
}

func flip(b []byte) []byte {
	for i := len(b) / 4; i < len(b)/2; i++ {
		b[i] ^= 0xFF
	}
	return b
}

func TestCorruptFilesAreRefusedByName(t *testing.T) {
	for _, c := range []struct {
		name, pattern, says string
		how                 func([]byte) []byte
		flushed             bool
	}{
		{"a table", "*.sst", ".sst", flip, true},
		{"the list of tables", "MANIFEST-*", "MANIFEST-", flip, true},
		{"a log in its middle", "*.log", "wal", flip, false},
		{"the format", "FORMAT", "FORMAT", func([]byte) []byte { return []byte("something else") }, true},
		{"the format, empty", "FORMAT", "FORMAT", func([]byte) []byte { return nil }, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			e := open(t, vfs.Default, dir)
			write(t, e, synced(put(1)))
			for seq := range uint64(300) {
				op := give(seq+1, 1)
				op.Message.Payload = make([]byte, 2000)
				write(t, e, synced(op))
			}
			if c.flushed {
				require.NoError(t, e.db.Flush())
			} else {
				// As after a kill: the log is what it is.
				copied := t.TempDir()
				require.NoError(t, os.CopyFS(copied, os.DirFS(dir)))
				dir = copied
			}
			require.NoError(t, e.Close())
			require.Positive(t, damage(t, dir, c.pattern, c.how))
			e, err := Open(dir, Options{})
			if err == nil {
				err = e.Close()
				t.Fatalf("it opened (%v)", err)
			}
			require.ErrorIs(t, err, ErrCorrupt)
			require.ErrorContains(t, err, c.says)
			require.ErrorContains(t, err, dir)
		})
	}
}

func TestADatabaseThatHasLostAFileIsNoNewOne(t *testing.T) {
	for _, pattern := range []string{"FORMAT", "MANIFEST-*", "marker.manifest.*", "*.sst"} {
		t.Run(pattern, func(t *testing.T) {
			dir := t.TempDir()
			e := open(t, vfs.Default, dir)
			write(t, e, synced(put(1), give(1, 1)))
			require.NoError(t, e.db.Flush())
			require.NoError(t, e.Close())
			files, err := filepath.Glob(filepath.Join(dir, pattern))
			require.NoError(t, err)
			require.NotEmpty(t, files)
			for _, name := range files {
				require.NoError(t, os.Remove(name))
			}
			_, err = Open(dir, Options{})
			require.ErrorContains(t, err, dir)
		})
	}
}

func TestANewerFormatIsRefusedWithASentence(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, open(t, vfs.Default, dir).Close())
	damage(t, dir, "FORMAT", func([]byte) []byte { return fmt.Appendf(nil, formatLine, format+1) })
	_, err := Open(dir, Options{})
	require.ErrorIs(t, err, ErrNewer)
	require.ErrorContains(t, err, fmt.Sprintf("it has format %d and this broker reads up to %d", format+1, format))
}

// A directory of format 1 has no order of topics and owes nothing; what it has
// stays, and an older broker does not open it again.
func TestAnOlderFormatIsTakenOver(t *testing.T) {
	dir := t.TempDir()
	e := open(t, vfs.Default, dir)
	write(t, e, synced(put(1), give(1, 1), store.Op{Kind: store.PutFilter, Session: 1, Filter: &store.Filter{Text: "t/#", RetainHandling: 2}}))
	require.NoError(t, e.do(func() { e.delete(append(e.key[:0], keyOrder...)); e.commit() }))
	require.NoError(t, e.Close())
	damage(t, dir, "FORMAT", func([]byte) []byte { return fmt.Appendf(nil, formatLine, 1) })
	e = open(t, vfs.Default, dir)
	order, want := e.Order(), dump(t, e)
	require.NotZero(t, order)
	require.Contains(t, want, "t/#")
	line, err := readFile(vfs.Default, filepath.Join(dir, "FORMAT"))
	require.NoError(t, err)
	require.Equal(t, fmt.Sprintf(formatLine, format), line)
	require.NoError(t, e.Close())
	e = open(t, vfs.Default, dir)
	require.Equal(t, order, e.Order())
	require.Equal(t, want, dump(t, e))
	require.NoError(t, e.Close())
}

func TestATornTailOfTheLogIsTheEndOfWhatWasWritten(t *testing.T) {
	dir := t.TempDir()
	e := open(t, vfs.Default, dir)
	write(t, e, synced(put(1)))
	for seq := range uint64(50) {
		write(t, e, synced(give(seq+1, 1)))
	}
	logs, err := filepath.Glob(filepath.Join(dir, "*.log"))
	require.NoError(t, err)
	require.Len(t, logs, 1)
	whole, err := os.ReadFile(logs[0])
	require.NoError(t, err)
	end := len(strings.TrimRight(string(whole), "\x00")) // the file is allocated ahead
	for cut := end; cut > end-200; cut -= 7 {
		torn := t.TempDir()
		require.NoError(t, os.CopyFS(torn, os.DirFS(dir)))
		name := filepath.Join(torn, filepath.Base(logs[0]))
		require.NoError(t, os.WriteFile(name, append(whole[:cut:cut], make([]byte, 4096)...), 0o600))
		again := open(t, vfs.Default, torn)
		got := waiting(t, again)[1]
		require.GreaterOrEqual(t, len(got), 40)
		for i, seq := range got {
			require.EqualValues(t, i+1, seq, "cut at %d: a prefix", cut)
		}
		require.EqualValues(t, len(got), again.Last())
		require.NoError(t, again.Close())
	}
	require.NoError(t, e.Close())
}

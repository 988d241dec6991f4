// SPDX-License-Identifier: Apache-2.0

package pebble

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"emqttd/actors/store"
	"emqttd/protocol/message"
)

// grouping hands groups on as the store actor does: whatever came during one
// write is the next.
type grouping struct {
	mu      sync.Mutex
	writing bool
	next    []*store.Commit
	done    []chan struct{}
	write   func([]*store.Commit, func(error))
}

func (g *grouping) commit(c *store.Commit, done chan struct{}) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.next, g.done = append(g.next, c), append(g.done, done)
	g.flush()
}

func (g *grouping) flush() {
	if g.writing || len(g.next) == 0 {
		return
	}
	g.writing = true
	group, done := g.next, g.done
	g.next, g.done = nil, nil
	go g.write(group, func(err error) {
		if err != nil {
			panic(err)
		}
		for _, d := range done {
			d <- struct{}{}
		}
		g.mu.Lock()
		defer g.mu.Unlock()
		g.writing = false
		g.flush()
	})
}

// openAsABrokerDoes opens with the memory that is the default.
func openAsABrokerDoes(b *testing.B, dir string) *Engine {
	e, err := Open(dir, Options{})
	require.NoError(b, err)
	return e
}

// plain is what the disk allows: a file, one write and one sync for a group.
func plain(b *testing.B) func([]*store.Commit, func(error)) {
	f, err := vfs.Default.Create(filepath.Join(b.TempDir(), "log"), vfs.WriteCategoryUnspecified)
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, f.Close()) })
	var buf []byte
	return func(group []*store.Commit, done func(error)) {
		buf = buf[:0]
		for _, c := range group {
			for _, op := range c.Ops {
				if op.Kind == store.Append {
					buf = appendMessage(buf, op.Message, true)
				}
			}
		}
		_, err := f.Write(buf)
		if err == nil {
			err = f.SyncData()
		}
		done(err)
	}
}

// written is how many bytes this process had written to disks.
func written() (n int64) {
	b, _ := os.ReadFile("/proc/self/io")
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, "write_bytes: "); ok {
			fmt.Sscan(rest, &n)
		}
	}
	return n
}

// BenchmarkCommit has producers that each wait for their message, 256 bytes, to
// be durable, and take away the one of 64 before it.
func BenchmarkCommit(b *testing.B) {
	for _, producers := range []int{1, 64, 512} {
		for _, kind := range []string{"pebble", "fdatasync"} {
			b.Run(fmt.Sprintf("%s/producers=%d", kind, producers), func(b *testing.B) {
				write := plain
				if kind == "pebble" {
					write = func(b *testing.B) func([]*store.Commit, func(error)) {
						e := openAsABrokerDoes(b, b.TempDir())
						b.Cleanup(func() { require.NoError(b, e.Close()) })
						setup := synced()
						for n := range uint64(producers) {
							setup.Ops = append(setup.Ops, put(n+1))
						}
						require.NoError(b, writeGroup(e, setup))
						return e.Write
					}
				}
				produce(b, producers, write(b))
			})
		}
	}
}

func writeGroup(e store.Engine, group ...*store.Commit) error {
	done := make(chan error, 1)
	e.Write(group, func(err error) { done <- err })
	return <-done
}

func produce(b *testing.B, producers int, write func([]*store.Commit, func(error))) {
	g := &grouping{write: write}
	var seq, left atomic.Int64
	left.Store(int64(b.N))
	took := make([][]time.Duration, producers)
	began := written()
	b.ResetTimer()
	var wg sync.WaitGroup
	for n := range producers {
		wg.Go(func() {
			done := make(chan struct{}, 1)
			payload := make([]byte, 256)
			for i := range payload {
				payload[i] = byte(i * n)
			}
			var sent []*message.Message
			for left.Add(-1) >= 0 {
				m := &message.Message{ID: message.ID{Seq: uint64(seq.Add(1))}, From: "p", Topic: "bench/topic", QoS: 1, Payload: payload}
				c := synced(store.Op{Kind: store.Append, Sessions: []uint64{uint64(n + 1)}, Message: m})
				if sent = append(sent, m); len(sent) > 64 {
					c.Ops = append(c.Ops, store.Op{Kind: store.Discard, Session: uint64(n + 1), Message: sent[0]})
					sent = sent[1:]
				}
				at := time.Now()
				g.commit(c, done)
				<-done
				took[n] = append(took[n], time.Since(at))
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	all := slices.Sorted(slices.Values(slices.Concat(took...)))
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "commits/s")
	b.ReportMetric(float64(all[len(all)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(all[len(all)*99/100].Microseconds()), "p99-µs")
	b.ReportMetric(float64(written()-began)/float64(b.N), "disk-B/op")
}

// BenchmarkFanout writes one message to 1,000 sessions, durable, and lets them
// have it lazily.
func BenchmarkFanout(b *testing.B) {
	for _, size := range []int{256, 4096} {
		b.Run(fmt.Sprintf("payload=%d", size), func(b *testing.B) {
			const sessions = 1000
			e := openAsABrokerDoes(b, b.TempDir())
			setup, to := synced(), []uint64(nil)
			for n := range uint64(sessions) {
				setup.Ops, to = append(setup.Ops, put(n+1)), append(to, n+1)
			}
			require.NoError(b, writeGroup(e, setup))
			began := written()
			seq := uint64(0)
			for b.Loop() {
				seq++
				op := give(seq, to...)
				op.Message.Payload = make([]byte, size)
				require.NoError(b, writeGroup(e, synced(op)))
				acks := lazy()
				for _, n := range to {
					acks.Ops = append(acks.Ops, store.Op{Kind: store.Discard, Session: n, Message: op.Message})
				}
				require.NoError(b, writeGroup(e, acks))
			}
			b.ReportMetric(float64(b.N)*sessions/b.Elapsed().Seconds(), "deliveries/s")
			b.ReportMetric(float64(written()-began)/float64(b.N)/sessions, "disk-B/delivery")
			require.NoError(b, e.Close())
		})
	}
}

// BenchmarkOpen opens a store with a million messages and reads all of it.
func BenchmarkOpen(b *testing.B) {
	const n = 1_000_000
	for name, op := range map[string]func(uint64, *message.Message) store.Op{
		"queued for 10,000 sessions": func(i uint64, m *message.Message) store.Op {
			return store.Op{Kind: store.Append, Sessions: []uint64{1 + i%10_000}, Message: m}
		},
		"queued, each for two of 10,000": func(i uint64, m *message.Message) store.Op {
			return store.Op{Kind: store.Append, Sessions: []uint64{1 + i%10_000, 1 + (i+i/10_000+1)%10_000}, Message: m}
		},
		"retained": func(i uint64, m *message.Message) store.Op {
			m.Topic = fmt.Sprintf("site/%d/dev/%d/sensor/%d", i%100, i/100%1000, i/100_000)
			return store.Op{Kind: store.Retain, Message: m}
		},
	} {
		b.Run(name, func(b *testing.B) {
			dir := b.TempDir()
			fill(b, dir, n, op)
			for b.Loop() {
				at := time.Now()
				e := openAsABrokerDoes(b, dir)
				opened := time.Since(at)
				count := 0
				require.NoError(b, e.Resume(func(s store.Stored) bool { count += len(s.Waiting); return true }))
				require.NoError(b, e.Retained(func(*message.Message) bool { count++; return true }))
				read := time.Since(at)
				require.GreaterOrEqual(b, count, n)
				b.ReportMetric(opened.Seconds()*1000, "open-ms")
				b.ReportMetric(read.Seconds()*1000, "open+read-ms")
				b.ReportMetric(rss(), "RSS-MB")
				var mem runtime.MemStats
				runtime.GC()
				runtime.ReadMemStats(&mem)
				b.ReportMetric(float64(mem.HeapAlloc)/1e6, "heap-MB")
				b.ReportMetric(float64(e.db.Metrics().DiskSpaceUsage())/1e6, "disk-MB")
				require.NoError(b, e.Close())
			}
		})
	}
}

func fill(b *testing.B, dir string, n uint64, op func(uint64, *message.Message) store.Op) {
	e := openAsABrokerDoes(b, dir)
	setup := synced()
	for s := range uint64(10_000) {
		setup.Ops = append(setup.Ops, put(s+1))
	}
	require.NoError(b, writeGroup(e, setup))
	h := newHistory(1)
	for i := uint64(0); i < n; {
		c := synced()
		for range 2000 {
			payload := make([]byte, 256)
			for j := range payload {
				payload[j] = byte(h.rng.Uint32())
			}
			i++
			c.Ops = append(c.Ops, op(i, &message.Message{ID: message.ID{Seq: i}, From: "publisher", Topic: "bench/topic", QoS: 1, Payload: payload, At: 1}))
		}
		require.NoError(b, writeGroup(e, c))
	}
	require.NoError(b, e.Close())
}

// rss is the resident memory of this process in MB.
func rss() (mb float64) {
	b, _ := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			fmt.Sscan(rest, &mb)
		}
	}
	return mb / 1024
}

// BenchmarkDisk passes 1 GiB by a session that is away: it has every hundredth
// message, another one has had all of them.
func BenchmarkDisk(b *testing.B) {
	for b.Loop() {
		e := openAsABrokerDoes(b, b.TempDir())
		require.NoError(b, writeGroup(e, synced(put(1), put(2))))
		h := newHistory(1)
		owed, most := 0, uint64(0)
		for seq := uint64(1); seq <= 1<<18; {
			c := synced()
			for range 64 {
				op := give(seq, 2)
				if seq%100 == 0 {
					op.Sessions = []uint64{1, 2}
					owed += 4096
				}
				op.Message.Payload = make([]byte, 4096)
				for j := range op.Message.Payload {
					op.Message.Payload[j] = byte(h.rng.Uint32())
				}
				c.Ops = append(c.Ops, op, store.Op{Kind: store.Discard, Session: 2, Message: op.Message})
				seq++
			}
			require.NoError(b, writeGroup(e, c))
			most = max(most, e.db.Metrics().DiskSpaceUsage())
		}
		b.ReportMetric(float64(owed)/1e6, "owed-MB")
		b.ReportMetric(float64(most)/1e6, "most-MB")
		b.ReportMetric(float64(e.db.Metrics().DiskSpaceUsage())/1e6, "end-MB")
		require.NoError(b, e.Close())
	}
}

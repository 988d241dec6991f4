// SPDX-License-Identifier: Apache-2.0

package broker_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"emqttd/protocol/packet"
	"emqttd/supervisor/broker/brokertest"
)

// powerDisk is an ext4 file system in a file on an XFS one, which can be cloned
// in one act while it is written: the clone is the disk as it is when the power
// goes. What the kernel had not written back, because nobody had synced it, is
// not in it.
type powerDisk struct {
	t   *testing.T
	dir string
	n   int // clones
}

func newPowerDisk(t *testing.T) *powerDisk {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("mounting a file system takes root")
	}
	for _, tool := range []string{"mkfs.xfs", "mkfs.ext4", "mount", "umount"} {
		if _, err := exec.LookPath(tool); err != nil {
			if os.Getenv("CI") != "" {
				require.NoError(t, err, "the packages xfsprogs, e2fsprogs and mount have it")
			}
			t.Skipf("%s is not here: it takes the packages xfsprogs, e2fsprogs and mount", tool)
		}
	}
	d := &powerDisk{t: t, dir: t.TempDir()}
	if err := errors.Join(d.format("xfs", 1<<30, "mkfs.xfs", "-q", "-m", "reflink=1"), d.mount("xfs.img", "xfs")); err != nil {
		t.Skipf("no loop device or no XFS in this kernel: %v", err)
	}
	require.NoError(t, errors.Join(d.format("xfs/live", 256<<20, "mkfs.ext4", "-q", "-F"), d.mount("xfs/live.img", "live")))
	return d
}

func (d *powerDisk) path(name string) string { return filepath.Join(d.dir, name) }

func (d *powerDisk) format(name string, size int64, command ...string) error {
	image := d.path(name + ".img")
	f, err := os.Create(image)
	if err != nil {
		return err
	}
	return errors.Join(f.Truncate(size), f.Close(), run(append(command, image)...))
}

// mount mounts an image until the end of the test.
func (d *powerDisk) mount(image, at string) error {
	if err := os.MkdirAll(d.path(at), 0o700); err != nil {
		return err
	}
	if err := run("mount", "-o", "loop", d.path(image), d.path(at)); err != nil {
		return err
	}
	d.t.Cleanup(func() { require.NoError(d.t, run("umount", d.path(at))) })
	return nil
}

func run(command ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, command[0], command[1:]...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%v: %w: %s", command, err, out)
	}
	return nil
}

// goOff clones the disk and mounts the clone: it returns where.
func (d *powerDisk) goOff() string {
	d.n++
	name := fmt.Sprint("clone", d.n)
	from, err := os.Open(d.path("xfs/live.img"))
	require.NoError(d.t, err)
	to, err := os.Create(d.path("xfs/" + name + ".img"))
	require.NoError(d.t, err)
	require.NoError(d.t, errors.Join(unix.IoctlFileClone(int(to.Fd()), int(from.Fd())), from.Close(), to.Close()))
	require.NoError(d.t, d.mount("xfs/"+name+".img", name))
	return d.path(name)
}

// ledger is what publishers were acknowledged.
type ledger struct {
	mu    sync.Mutex
	acked map[string]bool
	more  chan struct{} // a token for each
}

// publish publishes "client n" after "client n-1" is acknowledged, until the
// connection ends.
func (l *ledger) publish(p *peer, client string) {
	for n := 1; ; n++ {
		text := fmt.Sprint(client, " ", n)
		if p.Send(pub(packet.QoS1, packet.ID(n%60_000+1), "t/"+client, text)) != nil {
			return
		}
		if _, err := p.next(); err != nil {
			return
		}
		l.mu.Lock()
		l.acked[text] = true
		l.mu.Unlock()
		l.more <- struct{}{}
	}
}

// TestAPowerLossTakesNothingThatWasAcknowledged lets the power go in mid-load,
// three times, and starts a broker on what is left.
func TestAPowerLossTakesNothingThatWasAcknowledged(t *testing.T) {
	d := newPowerDisk(t)
	sets := func(at string) []string {
		return []string{"store.engine=pebble", "node.data_dir=" + filepath.Join(at, "data"), "store.min_free_bytes=0",
			"session.max_queued_messages=1000000", "session.max_queued_bytes=1GiB", "session.max_inflight=1000"}
	}
	b := brokertest.Start(t, sets(d.path("live"))...)
	k := join(t, b, kept(packet.V5, "keeper"))
	k.subscribe(packet.QoS1, "t/#")
	k.leave()
	l := &ledger{acked: map[string]bool{}, more: make(chan struct{})}
	var publishers sync.WaitGroup
	for i := range 4 {
		client := fmt.Sprint("p", i)
		p := join(t, b, clean(packet.V5, client))
		publishers.Go(func() { l.publish(p, client) })
	}
	for range 3 {
		for range 300 {
			<-l.more
		}
		l.mu.Lock()
		acked := make(map[string]bool, len(l.acked))
		for text := range l.acked {
			acked[text] = true
		}
		l.mu.Unlock()
		after := d.goOff()
		again := brokertest.Start(t, sets(after)...)
		k, ack := present(t, open(t, again, "tcp"), kept(packet.V5, "keeper"))
		require.True(t, ack.SessionPresent)
		last := map[string]int{}
		for left := len(acked); left > 0; {
			m := k.message()
			var client string
			var n int
			_, err := fmt.Sscan(string(m.Payload), &client, &n)
			require.NoError(t, err)
			require.Equal(t, last[client]+1, n, "%s: in order, and none is missing", client)
			last[client] = n
			if acked[string(m.Payload)] {
				left--
			}
		}
		again.Stop()
	}
	go func() {
		for range l.more { // nobody waits any more
		}
	}()
	b.Stop()
	publishers.Wait()
	close(l.more)
}

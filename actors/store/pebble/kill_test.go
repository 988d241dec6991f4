// SPDX-License-Identifier: Apache-2.0

package pebble

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"emqttd/actors/store"
	"emqttd/protocol/message"
)

// childDir tells the test binary that it is the process to be killed.
const childDir = "EMQTTD_PEBBLE_CHILD"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		child(dir)
	}
	os.Exit(m.Run())
}

// outstanding is how many messages the child leaves in the queue.
const outstanding = 100

// child writes messages for session 1 from several goroutines' worth of groups in
// flight, takes old ones away lazily, and says each position that is durable.
func child(dir string) {
	e, err := Open(dir, Options{MemtableBytes: 256 << 10, Fatal: func(err error) { panic(err) }})
	if err != nil {
		panic(err)
	}
	e.Write([]*store.Commit{synced(put(1))}, func(error) {})
	slots := make(chan struct{}, 16)
	for seq := e.Last() + 1; ; seq++ {
		slots <- struct{}{}
		op := give(seq, 1)
		op.Message.Payload = make([]byte, 1+seq%3000)
		group := []*store.Commit{synced(op)}
		if seq > outstanding {
			old := &message.Message{ID: message.ID{Seq: seq - outstanding}}
			group = append(group, lazy(store.Op{Kind: store.Discard, Session: 1, Message: old}))
		}
		e.Write(group, func(err error) {
			if err != nil {
				panic(err)
			}
			fmt.Println(seq) // one write to the pipe each: what was said is out
			<-slots
		})
	}
}

func TestAKilledProcessLosesNothingItHasAcknowledged(t *testing.T) {
	dir := t.TempDir()
	rng := rand.New(rand.NewPCG(uint64(os.Getpid()), 5))
	acked := uint64(0)
	for round := range 6 {
		cmd := exec.Command(os.Args[0], "-test.run=^$")
		cmd.Env = append(os.Environ(), childDir+"="+dir)
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		lines := bufio.NewScanner(out)
		for left := 50 + rng.IntN(600); lines.Scan(); left-- {
			_, err := fmt.Sscan(lines.Text(), &acked)
			require.NoError(t, err)
			if left == 0 {
				require.NoError(t, cmd.Process.Kill())
			}
		}
		require.Error(t, cmd.Wait())
		e := open(t, vfs.Default, dir)
		got := waiting(t, e)[1]
		require.NotEmpty(t, got)
		for i, seq := range got {
			require.Equal(t, got[0]+uint64(i), seq, "none is missing between two")
		}
		require.GreaterOrEqual(t, got[len(got)-1], acked)
		require.LessOrEqual(t, got[0]+outstanding, max(outstanding, e.Last())+1, "what was not taken is there")
		require.Equal(t, got[len(got)-1], e.Last())
		require.EqualValues(t, 2*round+2, e.Boot())
		check(t, e)
		require.NoError(t, e.Close())
	}
	t.Logf("%d messages acknowledged", acked)
}

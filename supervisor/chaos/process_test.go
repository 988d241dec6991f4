// SPDX-License-Identifier: Apache-2.0

package chaos_test

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"emqttd/supervisor/broker/brokertest"
	"emqttd/supervisor/chaos"
)

func TestMain(m *testing.M) { brokertest.Main(m) }

// process is a broker in a process of its own, which is started again on the same
// data whenever it is gone. Clients reach it through dial: they learn of the end
// when the next one is there, and the history has the restart by then.
type process struct {
	t       *testing.T
	address string
	sets    []string

	mu     sync.Mutex
	cmd    *exec.Cmd
	note   func(chaos.Event) // from the first step on
	starts int
}

func newProcess(t *testing.T, faults []string) *process {
	p := &process{t: t, address: brokertest.Address(t), note: func(chaos.Event) { t.Error("it was killed before the workload began") }}
	p.sets = []string{"listeners.tcp.default.bind=" + p.address, "listeners.ws.default.bind=", "dashboard.bind=",
		"runtime.actor_max_crashes=1000000", "node.data_dir=" + t.TempDir()}
	var first []string
	if len(faults) > 0 {
		first = []string{"chaos.enabled=true", `chaos.faults=["` + strings.Join(faults, `", "`) + `"]`}
	}
	require.NoError(t, p.start(first...))
	t.Cleanup(func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait()
	})
	return p
}

// start starts the broker and waits until it listens.
func (p *process) start(more ...string) error {
	p.cmd = exec.Command(os.Args[0], "-test.run=^$")
	name, sets := brokertest.ProcessEnv(append(more, p.sets...)...)
	p.cmd.Env = append(os.Environ(), name+"="+sets)
	p.cmd.Stderr = os.Stderr
	if err := p.cmd.Start(); err != nil {
		return err
	}
	p.starts++
	patience := time.After(30 * time.Second)
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	for !p.alive() {
		select {
		case <-again.C:
		case <-patience:
			return errors.New("the broker does not come up")
		}
	}
	return nil
}

// alive reports whether a client can connect: a process that was killed answers
// nothing any more, though its listener may stand for a moment.
func (p *process) alive() bool {
	nc, err := net.Dial("tcp", p.address)
	if err != nil {
		return false
	}
	defer func() { _ = nc.Close() }()
	if _, err := nc.Write([]byte("\x10\x0c\x00\x04MQTT\x04\x02\x00\x00\x00\x00")); err != nil { // CONNECT, clean, without a name
		return false
	}
	_, err = io.ReadFull(nc, make([]byte, 4)) // CONNACK
	return err == nil
}

// revive starts the broker again if it is gone.
func (p *process) revive() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.alive() || p.t.Failed() {
		return
	}
	if err := p.cmd.Wait(); err == nil || err.Error() != "signal: killed" {
		p.t.Errorf("the broker ended by itself: %v", err)
		return
	}
	p.note(chaos.Event{Kind: chaos.Restarted})
	if err := p.start(); err != nil {
		p.t.Error(err)
		return
	}
	p.note(chaos.Event{Kind: chaos.Restarted, Up: true})
}

func (p *process) dial(ctx context.Context, _ string) (net.Conn, error) {
	var d net.Dialer
	nc, err := d.DialContext(ctx, "tcp", p.address)
	if err != nil {
		p.revive()
		nc, err = d.DialContext(ctx, "tcp", p.address)
	}
	if err != nil {
		return nil, err
	}
	return &mortal{Conn: nc, p: p}, nil
}

// mortal is a connection whose end may be the broker's.
type mortal struct {
	net.Conn
	p *process
}

// Read implements net.Conn.
func (m *mortal) Read(b []byte) (int, error) {
	n, err := m.Conn.Read(b)
	if err != nil && !errors.Is(err, net.ErrClosed) {
		m.p.revive()
	}
	return n, err
}

// TestCrashOfTheProcess runs those experiments of the cookbook that kill the
// broker: go test -run Crash/31.
func TestCrashOfTheProcess(t *testing.T) {
	ran := 0
	for _, e := range chaos.Cookbook {
		if !e.Process {
			continue
		}
		ran++
		t.Run(e.Name()+" "+e.Title, func(t *testing.T) {
			p := newProcess(t, e.Faults)
			e.Plan.Each = func(_ int, note func(chaos.Event)) {
				p.mu.Lock()
				defer p.mu.Unlock()
				p.note = note
			}
			in := chaos.NewInjector(chaos.Options{Kill: func() { t.Error("the wrong process") }}) // this one has no actors
			r, err := e.Run(t.Context(), p.dial, in, 0)
			requirePass(t, r)
			require.NoError(t, err)
			require.Equal(t, 2, p.starts, "it was not killed, or more than once")
		})
	}
	require.Positive(t, ran)
}

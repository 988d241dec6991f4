// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// child is a broker that was started for one run.
type child struct {
	cmd    *exec.Cmd
	data   string // folder that goes with it
	cancel context.CancelFunc
	ended  chan struct{} // closed when it has
	log    string        // file of what it printed
}

// file is the broker's own, in the folder of the comparison.
func (p *Comparer) file(b *ComparedBroker, kind string) string {
	name := strings.Map(func(r rune) rune {
		if r == '/' || r == '\\' || r <= ' ' {
			return '_'
		}
		return r
	}, b.Name)
	return filepath.Join(p.Dir, name+kind)
}

// start starts b. It ends with stop or with ctx: asked first, killed when it
// does not go.
func (p *Comparer) start(ctx context.Context, b *ComparedBroker, ports []string) (*child, error) {
	// What another run wrote would be work for this one, and an older version of a
	// broker may not even read what a newer one has written.
	data := p.file(b, ".data")
	if err := errors.Join(os.RemoveAll(data), os.Mkdir(data, 0o700)); err != nil {
		return nil, err
	}
	if err := os.WriteFile(p.file(b, ".conf"), []byte(p.expand(b, b.Config, ports)), 0o600); err != nil {
		return nil, err
	}
	log, err := os.Create(p.file(b, ".log"))
	if err != nil {
		return nil, err
	}
	defer log.Close() // the child has its own
	words := p.words(b, b.Command, ports)
	ctx, cancel := context.WithCancel(ctx)
	c := &child{cmd: exec.CommandContext(ctx, words[0], words[1:]...), data: data, cancel: cancel, ended: make(chan struct{}), log: log.Name()}
	c.cmd.Dir = p.Dir
	c.cmd.Stdout, c.cmd.Stderr = log, log
	c.cmd.Cancel = func() error { return c.cmd.Process.Signal(syscall.SIGTERM) }
	c.cmd.WaitDelay = stopPatience
	if err := c.cmd.Start(); err != nil {
		cancel()
		return nil, fmt.Errorf("start %s: %w", b.Name, err)
	}
	go func() {
		_ = c.cmd.Wait() // it was told to end, or await says that it has
		close(c.ended)
	}()
	return c, nil
}

func (c *child) stop() {
	c.cancel()
	<-c.ended
	_ = os.RemoveAll(c.data) // whoever started the comparison removes the whole folder
}

// await waits until the broker accepts connections.
func (c *child) await(ctx context.Context, address string, limit time.Duration) error {
	u, err := url.Parse(address)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	again := time.NewTicker(startPause)
	defer again.Stop()
	for {
		nc, err := (&net.Dialer{}).DialContext(ctx, "tcp", u.Host)
		if err == nil {
			return nc.Close()
		}
		select {
		case <-again.C:
		case <-c.ended:
			return errors.New("the broker ended by itself: " + c.said())
		case <-ctx.Done():
			return fmt.Errorf("the broker does not listen on %s: %s", u.Host, c.said())
		}
	}
}

// said is the end of what it printed.
func (c *child) said() string {
	const most = 500
	text, err := os.ReadFile(c.log)
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(text[max(0, len(text)-most):]))
}

// freePorts are ports of 127.0.0.1 that nothing listens on now.
func freePorts(n int) ([]string, error) {
	var ports []string
	var open []net.Listener // until the end, so that the ports differ
	defer func() {
		for _, l := range open {
			_ = l.Close()
		}
	}()
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		open = append(open, l)
		ports = append(ports, fmt.Sprint(l.Addr().(*net.TCPAddr).Port))
	}
	return ports, nil
}

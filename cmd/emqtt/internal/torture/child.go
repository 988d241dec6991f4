// SPDX-License-Identifier: Apache-2.0

package torture

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// child is the broker's process, the leader of a group of its own.
type child struct {
	cmd   *exec.Cmd
	ended chan struct{} // closed when it has
}

func startChild(command string, log io.Writer) (*child, error) {
	c := &child{cmd: exec.Command("sh", "-c", "exec "+command), ended: make(chan struct{})}
	c.cmd.Stdout, c.cmd.Stderr = log, log
	lead(c.cmd)
	if err := c.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the broker: %w", err)
	}
	go func() {
		_ = c.cmd.Wait() // it was killed, or await says that it has ended
		close(c.ended)
	}()
	return c, nil
}

// kill sends SIGKILL to the whole group and waits until it is gone.
func (c *child) kill() {
	killGroup(c.cmd)
	<-c.ended
}

const startPause = 5 * time.Millisecond

// await waits until the broker accepts connections.
func (c *child) await(ctx context.Context, address string, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	again := time.NewTicker(startPause)
	defer again.Stop()
	for {
		nc, err := new(net.Dialer).DialContext(ctx, "tcp", address)
		if err == nil {
			return nc.Close()
		}
		select {
		case <-again.C:
		case <-c.ended:
			return errors.New("the broker ended by itself: " + c.cmd.ProcessState.String())
		case <-ctx.Done():
			return fmt.Errorf("the broker does not listen on %s: %w", address, err)
		}
	}
}

// diskFlushes is how often the machine's disks were told to flush, by whomever;
// 0 where the system does not say.
func diskFlushes() (n uint64) {
	f, err := os.Open("/proc/diskstats")
	if err != nil {
		return 0
	}
	defer f.Close()    // read only
	const flushes = 18 // field, from 0, since Linux 5.5
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if fields := strings.Fields(lines.Text()); len(fields) > flushes {
			v, _ := strconv.ParseUint(fields[flushes], 10, 64)
			n += v
		}
	}
	return n
}

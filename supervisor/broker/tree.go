// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"errors"
	"strings"

	"emqttd/supervisor"
)

// Tree is the live supervision tree: every service, and at most max of the
// connections' and sessions' actors under each of their supervisors. It may be
// called at any time and makes nobody wait.
func (b *Broker) Tree(max int) supervisor.Node { return b.root.Tree(max) }

// ErrClosed is returned by Ready of a broker that was stopped.
var ErrClosed = errors.New("broker: stopped")

// Ready says whether the broker may be sent clients: nil while every service
// takes messages. Else the error names those that do not: they are not started
// yet, or crash as soon as they are restarted.
func (b *Broker) Ready() error {
	b.mu.Lock()
	closed := b.closed
	b.mu.Unlock()
	if closed {
		return ErrClosed
	}
	if down := b.root.Down(); len(down) > 0 {
		return errors.New("broker: not up: " + strings.Join(down, ", "))
	}
	return nil
}

// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"errors"
	"io"

	"emqttd/actors/store/pebble"
)

// ErrNoDisk is returned by Checkpoint and Export of a broker whose store is in
// memory.
var ErrNoDisk = errors.New("broker: the store is in memory")

// Checkpoint makes dir, which must not exist, a data directory with everything
// that was acknowledged before, while the broker goes on. It waits for the disk.
func (b *Broker) Checkpoint(dir string) error {
	e, ok := b.engine.(*pebble.Engine)
	if !ok {
		return ErrNoDisk
	}
	return e.Checkpoint(dir)
}

// Export writes everything that was acknowledged before to w, as a file that
// `emqttd data import` reads, while the broker goes on. It waits for the disk and
// for w, and must be done before the broker is closed.
func (b *Broker) Export(w io.Writer) (*pebble.Exported, error) {
	e, ok := b.engine.(*pebble.Engine)
	if !ok {
		return nil, ErrNoDisk
	}
	return e.Export(w)
}

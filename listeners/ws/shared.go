// SPDX-License-Identifier: Apache-2.0

package ws

import (
	"bufio"
	"errors"
	"io"
)

// readerSize is the size of the read buffer that gorilla reads through. It
// must exceed 256, or gorilla allocates one per connection; the rest changes
// nothing, since the buffer is empty again after each step.
const readerSize = 4 << 10

// Shared is what all connections of one loop take turns with, so that none of
// them owns a buffer. It is used by one goroutine at a time.
type Shared struct {
	reader *bufio.Reader // copied into each seat: its buffer is shared, its state is not
	writer *bufio.Writer // gorilla wants one to write the 101 through
	src    []byte        // what the current step may read; the caller's memory
	out    []byte        // out-buffer of the current call
	seats  []*seat       // nobody sits on; len <= maxSeats
}

// NewShared makes the scratch memory of one loop.
func NewShared() *Shared {
	return &Shared{
		reader: bufio.NewReaderSize(nil, readerSize),
		writer: bufio.NewWriterSize(io.Discard, 512),
	}
}

// enter points the in-memory connection of d at this call's bytes. A Driver
// may come to another loop between calls: the reader is rebound then, which
// loses nothing, because it is empty between calls.
func (sh *Shared) enter(d *Driver, out []byte) {
	if d.sh != sh {
		d.sh = sh
		if d.seat != nil {
			d.seat.bind(sh)
		}
	}
	sh.out = out
}

// leave forgets the caller's memory and returns the out-buffer.
func (sh *Shared) leave() (out []byte) {
	out, sh.src, sh.out = sh.out, nil, nil
	return out
}

// errDry is a step that wanted more bytes than it was given. It means that the
// scanner and gorilla disagree about a frame, and costs the connection.
var errDry = errors.New("ws: frame ran dry")

// SPDX-License-Identifier: Apache-2.0

package ws

import (
	"io"
	"slices"

	"github.com/gorilla/websocket"
)

// Driver is one connection behind its upgrade. Its zero value waits for
// Upgrade. It is used by one goroutine at a time, but not always by the same.
type Driver struct {
	// Trace, if set, is shown every frame header, read and written.
	Trace func(FrameEvent)

	cfg     *Config
	sh      *Shared     // of the latest call
	seat    *seat       // gorilla's part; nil between messages, see seat
	payload io.Reader   // gorilla's reader of the current message; nil between messages and while collecting
	ended   *CloseError // set once, then returned for ever

	need    uint64  // payload bytes outstanding of the current data frame; before the upgrade: bytes searched for the header's end
	left    []byte  // beginning of a header (< 14 bytes) or control frame (< 139), nil nearly always
	message []byte  // compressed message, unmasked, while collecting; len <= cfg.MaxMessage
	key     [4]byte // mask of the next byte to collect

	inMessage  bool // a first frame came, its FIN did not
	fin        bool // the current frame is the last of its message
	collecting bool // the current message is compressed
	deflate    bool // permessage-deflate is agreed on
	client     bool // we are the client: frames in are bare, frames out masked
}

// Feed takes the bytes in of one socket read and appends the payload of data
// frames to dst, without regard to where frames and messages begin and end
// [v3.1.1 MQTT-6.0.0-2, v5 MQTT-6.0.0-2]. Pongs and close frames that are due
// are appended to out. It returns both extended slices and retains none of the
// three; neither dst nor out may overlap in.
//
// An error is a *CloseError and ends the connection: what dst got before it is
// good and should be handled first, out be flushed, the socket closed. Each
// further call returns the same error.
//
// Both grow by at most what comes in, but for compressed messages, each of
// which may become cfg.MaxInflated bytes of dst.
func (d *Driver) Feed(sh *Shared, in, dst, out []byte) (dst2, out2 []byte, err error) {
	if d.ended != nil {
		return dst, out, d.ended
	}
	sh.enter(d, out)
	dst2 = dst
	defer func() {
		if p := recover(); p != nil { // library boundary: costs this connection only
			err = d.caught(p)
		}
		d.rise()
		out2 = sh.leave()
	}()
	for len(in) > 0 {
		var end *CloseError
		if d.need > 0 {
			in, dst2, end = d.readPayload(in, dst2)
		} else {
			in, dst2, end = d.readHeader(in, dst2)
		}
		if end != nil {
			return dst2, nil, end
		}
	}
	return dst2, nil, nil
}

// readHeader takes one frame header, or one whole control frame, off in.
func (d *Driver) readHeader(in, dst []byte) (rest, dst2 []byte, end *CloseError) {
	behind := len(d.left) == 0 // then the payload lies behind the header in memory
	frame, rest, end := d.gather(in)
	if frame == nil {
		return rest, dst, end
	}
	h := parseHeader(frame)
	d.trace(false, &h)
	switch {
	case d.cfg.Strict && !h.shortest:
		return rest, dst, d.refuse(websocket.CloseProtocolError, LabelProtocol, "length not in its shortest form")
	case h.control():
		return rest, dst, d.control(&h, frame)
	case h.op == opText && !d.cfg.AllowText: // [v3.1.1 MQTT-6.0.0-1, v5 MQTT-6.0.0-1]
		return rest, dst, d.refuse(websocket.CloseUnsupportedData, LabelText, "MQTT needs binary frames, this is text")
	}
	return d.dataFrame(&h, frame, rest, dst, behind)
}

// dataFrame begins a data frame, and takes its payload off rest too if that
// lies behind the header: one step for both is half the price.
func (d *Driver) dataFrame(h *header, frame, rest, dst []byte, behind bool) (_, dst2 []byte, end *CloseError) {
	first := h.op != opContinuation
	if first {
		d.inMessage, d.collecting = true, h.rsv1
	}
	d.need, d.fin, d.key = h.length, h.fin, h.key
	switch {
	case d.collecting:
		if h.length > uint64(d.cfg.MaxMessage-len(d.message)) {
			return rest, dst, d.refuse(websocket.CloseMessageTooBig, LabelTooBig, "compressed message is too long")
		}
	case first || h.length > 0 || h.fin:
		n := 0
		if behind {
			n = int(min(h.length, uint64(len(rest))))
		}
		d.sh.src = frame[:len(frame)+n]
		if end = d.openFrame(first); end == nil && n > 0 {
			dst, end = d.unmask(n, dst)
		}
		d.need -= uint64(n)
		rest = rest[n:]
	} // else an empty fragment: gorilla would go on to read the next header
	if end == nil && d.need == 0 {
		dst, end = d.frameEnd(dst)
	}
	return rest, dst, end
}

// openFrame has gorilla read a header from the source.
func (d *Driver) openFrame(first bool) *CloseError {
	var err error
	if first {
		_, d.payload, err = d.sit().conn.NextReader()
	} else if _, err = d.payload.Read(nil); err == io.EOF { // an empty final fragment
		err = nil
	}
	if err != nil {
		return d.failed(err)
	}
	return nil
}

// readPayload takes what is there of the current frame's payload off in.
func (d *Driver) readPayload(in, dst []byte) (rest, dst2 []byte, end *CloseError) {
	n := int(min(d.need, uint64(len(in))))
	part, rest := in[:n], in[n:]
	if d.collecting {
		d.collect(part)
	} else {
		d.sh.src = part
		if dst, end = d.unmask(n, dst); end != nil {
			return rest, dst, end
		}
	}
	if d.need -= uint64(n); d.need == 0 {
		dst, end = d.frameEnd(dst)
	}
	return rest, dst, end
}

// unmask has gorilla append the next n bytes of the source to dst in the clear.
func (d *Driver) unmask(n int, dst []byte) ([]byte, *CloseError) {
	dst = slices.Grow(dst, n)
	for end := len(dst) + n; len(dst) < end; {
		k, err := d.payload.Read(dst[len(dst):end])
		dst = dst[:len(dst)+k]
		if err != nil {
			return dst, d.failed(err)
		}
	}
	return dst, nil
}

// frameEnd is where the payload of a data frame is complete.
func (d *Driver) frameEnd(dst []byte) ([]byte, *CloseError) {
	if !d.fin {
		return dst, nil
	}
	d.inMessage, d.payload = false, nil
	if d.collecting {
		d.collecting = false
		return d.inflate(dst)
	}
	return dst, nil
}

// MidFrame says whether the peer owes the rest of a frame or message; the
// caller's timer for half frames runs while it is true.
func (d *Driver) MidFrame() bool { return d.inMessage || d.need > 0 || len(d.left) > 0 }

// Compressed says whether permessage-deflate was agreed on [RFC 7692].
func (d *Driver) Compressed() bool { return d.deflate }

// Held is the number of bytes the connection keeps between calls.
func (d *Driver) Held() int { return cap(d.left) + cap(d.message) }

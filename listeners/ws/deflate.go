// SPDX-License-Identifier: Apache-2.0

package ws

import (
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/gorilla/websocket"
)

const extensionsHeader = "Sec-Websocket-Extensions"

// offersDeflate says whether one of the client's offers can be accepted, and
// leaves just that in the header. gorilla would accept parameters it ignores:
// a client that asked for a smaller server window must be declined, since our
// deflate always uses 32 KiB [RFC 7692 7.1.2.1].
func offersDeflate(h http.Header) bool {
	offer := strings.Join(h[extensionsHeader], ",")
	h.Del(extensionsHeader)
	for ext := range strings.SplitSeq(offer, ",") {
		if params := strings.Split(ext, ";"); strings.TrimSpace(params[0]) == "permessage-deflate" &&
			!slices.ContainsFunc(params[1:], foreignParameter) {
			h.Set(extensionsHeader, "permessage-deflate")
			return true
		}
	}
	return false
}

func foreignParameter(param string) bool {
	name, value, _ := strings.Cut(param, "=")
	switch strings.TrimSpace(name) {
	case "server_no_context_takeover", "client_no_context_takeover", "client_max_window_bits":
		return false
	case "server_max_window_bits":
		return strings.Trim(value, ` "`) != "15"
	}
	return true
}

// inflate appends the content of the compressed message collected in d.message
// to dst. gorilla is shown one unfragmented frame with mask 0, all of it in
// memory: its inflater must never run dry, and it is held only inside this
// call (45 KB otherwise).
func (d *Driver) inflate(dst []byte) ([]byte, *CloseError) {
	start, limit := len(dst), d.cfg.MaxInflated
	d.sh.src = d.wholeHeader(len(d.message))
	if end := d.openFrame(true); end != nil {
		return dst, end
	}
	r := d.payload
	d.sh.src, d.message, d.payload = d.message, nil, nil
	for {
		if cap(dst)-len(dst) < 512 {
			dst = slices.Grow(dst, min(max(len(dst)-start, 4<<10), limit+1))
		}
		n, err := r.Read(dst[len(dst):min(cap(dst), start+limit+1)])
		dst = dst[:len(dst)+n]
		switch {
		case len(dst)-start > limit:
			return dst[:start], d.refuse(websocket.CloseMessageTooBig, LabelTooBig, "message inflates beyond the limit")
		case err == io.EOF && len(d.sh.src)+d.seat.reader.Buffered() == 0:
			return dst, nil
		case err != nil: // corrupt, or ended before its message did: gorilla sends no close frame
			return dst[:start], d.refuse(websocket.CloseInvalidFramePayloadData, LabelBadDeflate, "compressed message is corrupt")
		}
	}
}

// wholeHeader is the header of an unfragmented compressed message of n bytes.
func (d *Driver) wholeHeader(n int) []byte {
	head := append(make([]byte, 0, maxHeader), finBit|rsv1Bit|opBinary)
	if d.client {
		return appendLength(head, 0, n)
	}
	return append(appendLength(head, maskBit, n), 0, 0, 0, 0)
}

// collect appends part of a compressed message, in the clear.
func (d *Driver) collect(part []byte) {
	size := len(d.message)
	d.message = append(d.message, part...)
	maskBytes(d.key, d.message[size:])
	old := d.key
	for i := range d.key {
		d.key[i] = old[(i+len(part))&3]
	}
}

// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"bytes"
	"crypto/sha1" //nolint:gosec // RFC 6455 section 4.2.2 asks for it
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
)

// webSocket is the client's side of RFC 6455 on a loop: some bytes of state per
// connection, and payloads are unframed where they lie.
type webSocket struct {
	open bool   // the upgrade is done
	key  string // Sec-WebSocket-Key
	rng  rand.PCG

	head   [10]byte // header of the frame that comes in; a server's has no mask
	headN  int
	left   int64     // payload bytes of that frame still to come
	ping   [125]byte // payload of a ping, until it is whole
	pingN  int
	framed []byte // frames on their way out; the connection's out is what will be framed next
}

const maxUpgrade = 8 << 10 // bytes of an answer to the upgrade

func newWebSocket(seed uint64) *webSocket {
	w := &webSocket{rng: *rand.NewPCG(seed, 0x9e3779b97f4a7c15)}
	nonce := binary.BigEndian.AppendUint64(nil, w.rng.Uint64())
	nonce = binary.BigEndian.AppendUint64(nonce, w.rng.Uint64())
	w.key = base64.StdEncoding.EncodeToString(nonce)
	return w
}

func (w *webSocket) request(dst []byte, host, path string) []byte {
	return fmt.Appendf(dst, "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Key: %s\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n", path, host, w.key)
}

// answer reads the answer to the upgrade from b: how many bytes it has, 0 if it
// is not complete.
func (w *webSocket) answer(b []byte) (int, error) {
	end := bytes.Index(b, []byte("\r\n\r\n"))
	if end < 0 {
		if len(b) > maxUpgrade {
			return 0, errors.New("the answer to the WebSocket upgrade is too long")
		}
		return 0, nil
	}
	head := string(b[:end])
	status, _, _ := strings.Cut(head, "\r\n")
	if !strings.HasPrefix(status, "HTTP/1.1 101") {
		return 0, fmt.Errorf("the WebSocket upgrade was answered %q", status)
	}
	sum := sha1.Sum([]byte(w.key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")) //nolint:gosec // see above
	if !strings.Contains(head, base64.StdEncoding.EncodeToString(sum[:])) {
		return 0, errors.New("the WebSocket upgrade was answered with a wrong Sec-WebSocket-Accept")
	}
	w.open = true
	return end + 4, nil
}

// The opcodes of RFC 6455 section 5.2 that matter here.
const (
	opContinuation = 0x0
	opBinary       = 0x2
	opClose        = 0x8
	opPing         = 0x9
	opPong         = 0xa
)

var errClosed = errors.New("the broker closed the WebSocket")

// unframe moves the payloads of the data frames in b to its front and returns
// their length. Pings are answered into w.framed.
func (w *webSocket) unframe(b []byte) (n int, err error) {
	for i := 0; i < len(b); {
		if w.left == 0 {
			w.head[w.headN] = b[i]
			w.headN++
			i++
			if w.headN < w.headSize() {
				continue
			}
			if err := w.begin(); err != nil {
				return n, err
			}
		} else {
			part := b[i:min(int64(len(b)), int64(i)+w.left)]
			i += len(part)
			w.left -= int64(len(part))
			if w.head[0]&0x0f == opPing {
				w.pingN += copy(w.ping[w.pingN:], part)
			} else if w.head[0]&0x0f != opPong {
				n += copy(b[n:], part)
			}
		}
		if w.left == 0 {
			w.end()
		}
	}
	return n, nil
}

func (w *webSocket) headSize() int {
	switch {
	case w.headN < 2 || w.head[1]&0x7f < 126:
		return 2
	case w.head[1]&0x7f == 126:
		return 4
	}
	return 10
}

// begin reads a complete header.
func (w *webSocket) begin() error {
	if w.head[1]&0x80 != 0 || w.head[0]&0x70 != 0 {
		return errors.New("the broker sent a WebSocket frame that is masked or of an unknown extension")
	}
	switch size := int64(w.head[1]); size {
	case 126:
		w.left = int64(binary.BigEndian.Uint16(w.head[2:]))
	case 127:
		w.left = int64(binary.BigEndian.Uint64(w.head[2:]) & (1<<62 - 1))
	default:
		w.left = size
	}
	switch op := w.head[0] & 0x0f; {
	case op == opClose:
		return errClosed
	case op == opBinary, op == opContinuation, (op == opPing || op == opPong) && w.left <= 125:
		return nil
	default:
		return fmt.Errorf("the broker sent a WebSocket frame of opcode %d and %d bytes", op, w.left)
	}
}

// end is the end of a frame.
func (w *webSocket) end() {
	if w.head[0]&0x0f == opPing {
		w.framed = w.frame(w.framed, opPong, w.ping[:w.pingN])
	}
	w.headN, w.pingN = 0, 0
}

// frame appends payload as one masked frame.
func (w *webSocket) frame(dst []byte, op byte, payload []byte) []byte {
	dst = append(dst, 0x80|op)
	switch n := len(payload); {
	case n < 126:
		dst = append(dst, 0x80|byte(n))
	case n < 1<<16:
		dst = binary.BigEndian.AppendUint16(append(dst, 0x80|126), uint16(n))
	default:
		dst = binary.BigEndian.AppendUint64(append(dst, 0x80|127), uint64(n))
	}
	key := w.rng.Uint64()>>32 | 1
	key |= key << 32 // the same four bytes twice, to mask eight at a time
	dst = binary.LittleEndian.AppendUint32(dst, uint32(key))
	from := len(dst)
	dst = append(dst, payload...)
	b := dst[from:]
	for len(b) >= 8 {
		binary.LittleEndian.PutUint64(b, binary.LittleEndian.Uint64(b)^key)
		b = b[8:]
	}
	for i := range b {
		b[i] ^= byte(key >> (8 * i))
	}
	return dst
}

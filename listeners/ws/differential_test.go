// SPDX-License-Identifier: Apache-2.0

package ws

import (
	"bufio"
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/stretchr/testify/require"
)

var (
	streams = flag.Int("streams", defaultStreams, "random streams the driver is compared with gorilla on")
	seed    = flag.Uint64("seed", 0, "first seed of those streams; 0: 1")
)

// TestDriverEqualsBlockingGorilla feeds random streams, right and wrong, behind
// their upgrade request, to the driver in pieces and to gorilla as it is meant
// to be used. Payload, every byte written and the way it ends must be equal.
func TestDriverEqualsBlockingGorilla(t *testing.T) {
	first := max(*seed, 1)
	ends := map[string]int{}
	for s := first; s < first+uint64(*streams); s++ {
		g := newGenerator(t, s)
		stream := g.stream()
		want := oracle(g.cfg, stream, g.compressed)
		got := drive(t, g.cfg, stream, g.chunks())
		require.Equal(t, want.end, got.end, "seed %d (%s)", s, g.note)
		require.True(t, bytes.Equal(want.payload, got.payload), "payload of %d and %d bytes: seed %d (%s)", len(want.payload), len(got.payload), s, g.note)
		require.Equal(t, string(want.written), string(got.written), "seed %d (%s)", s, g.note)
		ends[got.end]++
	}
	if *streams >= 1000 { // the generator reaches what it is made for
		require.Greater(t, len(ends), 15, "%v", ends)
	}
}

// transcript is what a connection did.
type transcript struct {
	payload []byte
	written []byte
	end     string // empty: the stream ended, the connection had not
}

func drive(t testing.TB, cfg Config, stream []byte, next func() int) (tr transcript) {
	sh, d, u := NewShared(), &Driver{}, NewUpgrader(cfg)
	var seen []byte
	for {
		n := min(next(), len(stream))
		seen, stream = append(seen, stream[:n]...), stream[n:]
		res, out := u.Upgrade(sh, d, seen, tr.written)
		tr.written = out
		if res.Outcome == NeedMore {
			continue
		}
		require.Equal(t, Upgraded, res.Outcome, "%s", out)
		stream = append(seen[res.Consumed:], stream...)
		break
	}
	dst, out, err := feed(sh, d, stream, next)
	tr.payload, tr.written = dst, append(tr.written, out...)
	if err != nil {
		c := err.(*CloseError)
		tr.end = fmt.Sprint(c.Label, " ", c.Code, " ", c.Text)
	}
	require.LessOrEqual(t, len(d.left), 138)
	return tr
}

// memory is a net.Conn over a byte stream.
type memory struct {
	io.Reader
	bytes.Buffer
}

func (m *memory) Read(b []byte) (int, error)       { return m.Reader.Read(b) }
func (m *memory) Close() error                     { return nil }
func (m *memory) LocalAddr() net.Addr              { return nil }
func (m *memory) RemoteAddr() net.Addr             { return nil }
func (m *memory) SetDeadline(time.Time) error      { return nil }
func (m *memory) SetReadDeadline(time.Time) error  { return nil }
func (m *memory) SetWriteDeadline(time.Time) error { return nil }

type memoryWriter struct {
	http.ResponseWriter
	conn *memory
}

func (w memoryWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return w.conn, bufio.NewReadWriter(bufio.NewReader(w.conn), bufio.NewWriter(w.conn)), nil
}

// oracle runs the stream through gorilla with its own buffers, and adds the
// three things gorilla leaves to its user: refusing text, and the close frames
// for corrupt deflate and for a negative length.
func oracle(cfg Config, stream []byte, compressed []bool) (tr transcript) {
	end := bytes.Index(stream, []byte("\r\n\r\n")) + 4
	req, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(stream[:end])))
	if err != nil {
		panic(err)
	}
	m := &memory{Reader: bytes.NewReader(stream[end:])}
	u := websocket.Upgrader{Subprotocols: []string{"mqtt"}, EnableCompression: cfg.Compression, CheckOrigin: originChecked}
	conn, err := u.Upgrade(memoryWriter{nil, m}, req, nil)
	if err != nil {
		panic(err)
	}
	refuse := func(code int, label Label, text string) string {
		conn.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(code, text), time.Time{})
		return fmt.Sprint(label, " ", code, " ", text)
	}
	for i := 0; err == nil; i++ {
		var kind int
		var r io.Reader
		if kind, r, err = conn.NextReader(); err != nil {
			break
		}
		if kind == websocket.TextMessage && !cfg.AllowText {
			tr.end, err = refuse(1003, LabelText, "MQTT needs binary frames, this is text"), io.EOF
			break
		}
		var payload []byte
		if payload, err = io.ReadAll(r); err == nil || !compressed[i] {
			tr.payload = append(tr.payload, payload...)
		}
	}
	var closed *websocket.CloseError
	switch {
	case tr.end != "", errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
	case errors.As(err, &closed) && closed.Code == websocket.CloseAbnormalClosure: // the stream ended
	case errors.As(err, &closed):
		tr.end = fmt.Sprint(LabelPeerClose, " ", closed.Code, " ", closed.Text)
	case err == websocket.ErrReadLimit:
		tr.end = refuse(1002, LabelProtocol, "frame length over 63 bits")
	case strings.HasPrefix(err.Error(), "flate: "):
		tr.end = refuse(1007, LabelBadDeflate, "compressed message is corrupt")
	default:
		tr.end = fmt.Sprint(LabelProtocol, " 1002 ", strings.TrimPrefix(err.Error(), "websocket: "))
	}
	tr.written = m.Bytes()
	return tr
}

// generator makes one stream of frames.
type generator struct {
	*rand.Rand
	t          testing.TB
	cfg        Config
	note       string // how the stream ends
	compressed []bool // by message
	b          []byte
}

func newGenerator(t testing.TB, seed uint64) *generator {
	g := &generator{Rand: rand.New(rand.NewPCG(seed, 1)), t: t}
	g.cfg = Config{Compression: g.IntN(3) == 0, AllowText: g.IntN(4) == 0, MaxMessage: 1 << 30, MaxInflated: 1 << 30}
	return g
}

var sizes = []int{0, 0, 1, 2, 20, 64, 124, 125, 126, 127, 511, 512, 513, 4095, 4096, 4097, 65535, 65536, 65537, 70000}

func (g *generator) size() int {
	if g.IntN(4) > 0 { // large ones say little and cost much
		return sizes[g.IntN(13)]
	}
	return sizes[g.IntN(len(sizes))]
}

func (g *generator) bytes(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(g.Uint32() & 0x3f) // compresses a little
	}
	return b
}

func (g *generator) frame(b0 byte, payload []byte) {
	var key [4]byte
	for i := range key {
		key[i] = byte(g.Uint32())
	}
	size := len(payload)
	g.b = appendLength(append(g.b, b0), maskBit, size)
	g.b = append(append(g.b, key[:]...), payload...)
	maskBytes(key, g.b[len(g.b)-size:])
}

func (g *generator) controls() {
	for g.IntN(5) == 0 {
		g.frame(finBit|opPing+byte(g.IntN(2)), g.bytes(g.IntN(126)))
	}
}

// message appends one message in fragments; not finished leaves out its last.
func (g *generator) message(finished bool) {
	payload, b0 := g.bytes(g.size()), byte(opBinary)
	if g.cfg.AllowText && g.IntN(2) == 0 {
		b0 = opText
	}
	zip := g.cfg.Compression && g.IntN(2) == 0
	g.compressed = append(g.compressed, zip)
	if zip {
		payload, b0 = deflated(g.t, payload), b0|rsv1Bit
	}
	for g.IntN(2) == 0 {
		n := g.IntN(len(payload) + 1)
		if g.IntN(3) == 0 {
			n = 0
		}
		g.frame(b0, payload[:n])
		b0, payload = opContinuation, payload[n:]
		g.controls()
	}
	if finished {
		g.frame(finBit|b0, payload)
	} else {
		g.frame(b0, payload)
	}
}

func (g *generator) stream() []byte {
	g.b = []byte(request)
	if g.cfg.Compression {
		g.b = []byte(with(deflateRequest))
	}
	start := len(g.b)
	for range g.IntN(8) {
		g.controls()
		g.message(true)
	}
	g.controls()
	if g.IntN(3) == 0 {
		g.message(false) // what follows stands inside a message
		g.controls()
	}
	g.ending()
	if g.IntN(4) == 0 && !strings.HasPrefix(g.note, "corrupt") {
		g.b = g.b[:start+g.IntN(len(g.b)-start+1)]
		g.note = "cut: " + g.note
	}
	return g.b
}

func (g *generator) ending() {
	wrong := []struct {
		note string
		b0   byte
		data []byte
	}{
		{"ends", 0, nil},
		{"close", finBit | opClose, append([]byte{0x03, byte(0xe8 + g.IntN(20))}, g.bytes(g.IntN(124))...)},
		{"close 3xxx", finBit | opClose, []byte{0x0b, 0xb8}},
		{"close without code", finBit | opClose, nil},
		{"close bad utf-8", finBit | opClose, []byte{0x03, 0xe8, 0xff, 0xfe}},
		{"text", finBit | opText, []byte("hello")},
		{"text fragment", opText, []byte("hello")},
		{"bad opcode", finBit | byte(3+g.IntN(5)), []byte("?")},
		{"bad control opcode", finBit | byte(0xb+g.IntN(5)), []byte("?")},
		{"RSV2", finBit | rsv2Bit | opBinary, []byte("?")},
		{"RSV3", finBit | rsv3Bit | opPing, []byte("?")},
		{"long ping", finBit | opPing, g.bytes(126 + g.IntN(70000))},
		{"fragmented ping", opPing, []byte("?")},
		{"continuation", finBit | opContinuation, []byte("?")},
		{"first frame", opBinary, []byte("?")},
		{"many wrongs", rsv2Bit | rsv3Bit | opClose, g.bytes(130)},
	}
	kind := g.IntN(len(wrong) + 5)
	switch kind - len(wrong) {
	case 0:
		g.note, g.b = "unmasked", append(g.b, finBit|opBinary, 2, 0xc0, 0)
	case 1:
		g.note, g.b = "negative length", append(g.b, finBit|opPing&0xf0|opBinary, maskBit|127, 0x80, 0, 0, 0, 0, 0, 0, 1, 1, 2, 3, 4)
	case 2:
		g.note, g.b = "2^62 bytes", append(g.b, finBit|opBinary, maskBit|127, 0x40, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6)
	case 3:
		if g.note = "RSV1"; !g.cfg.Compression {
			g.frame(finBit|rsv1Bit|opPing, nil)
		}
	case 4:
		if g.note = "corrupt deflate"; g.cfg.Compression {
			g.frame(finBit|rsv1Bit|opBinary, []byte{0xff, 0xff, 0xff, 0xff})
		}
	default:
		g.note = wrong[kind].note
		if kind > 0 {
			g.frame(wrong[kind].b0, wrong[kind].data)
		}
	}
	g.compressed = append(g.compressed, g.note == "corrupt deflate" && g.cfg.Compression, false, false)
	g.note += fmt.Sprint(" deflate=", g.cfg.Compression)
	for range g.IntN(2) {
		g.frame(finBit|opBinary, []byte("behind the end"))
	}
}

// chunks is how the stream is cut: bytes, anyhow, or not at all.
func (g *generator) chunks() func() int {
	switch g.IntN(4) {
	case 0:
		if len(g.b) < 20000 {
			return oneByte
		}
		return func() int { return 1 + g.IntN(5000) }
	case 1:
		return func() int { return 1 + g.IntN(20) }
	case 2:
		return func() int { return 1 + g.IntN(300) }
	}
	return whole
}

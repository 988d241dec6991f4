// SPDX-License-Identifier: Apache-2.0

package ws

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
)

// connect is the CONNECT of the seeds, 53 bytes.
const connect = "10 33 00 04 4d 51 54 54 04 c2 00 3c" + // CONNECT, "MQTT", level 4, flags, keep alive 60
	"00 0f 38 36 31 36 39 34 30 33 30 31 34 32 34 37 33" + // client id
	"00 0c 6c 69 62 61 69 6e 65 75 32 30 30 34" + // user
	"00 08 31 32 33 34 35 36 37 38" // password

func TestFeedSeeds(t *testing.T) {
	packet := unhex(t, connect)
	pingreq := unhex(t, "<binary> 82 <masked, 2> 82 <key> 8f 06 5d 55 <c0 00> 4f 06")
	cases := []struct {
		name   string
		stream []byte
		want   []byte
	}{
		{"masked PINGREQ of the capture", pingreq, unhex(t, "c0 00")},
		{"CONNECT in one frame", frame(finBit|opBinary, packet), packet},
		{"CONNECT in the 13 frames of the capture", inFrames(packet, 1, 1, 2, 4, 1, 1, 2, 2, 15, 2, 12, 2, 8), packet},
		{"CONNECT in FIN=0 fragments", fragments(packet, 1, 1, 2, 4, 0, 1, 44), packet},
		{"two packets in one frame", frame(finBit|opBinary, append(packet[:53:53], 0xc0, 0)), append(packet[:53:53], 0xc0, 0)},
		{"one packet over two messages", inFrames(packet, 20, 33), packet},
		{"empty frames", bytes.Join([][]byte{frame(finBit|opBinary, nil), frame(opBinary, nil), frame(opContinuation, nil), frame(finBit, nil), pingreq}, nil), unhex(t, "c0 00")},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			for cut, next := range map[string]func() int{"whole": whole, "byte by byte": oneByte} {
				sh, d := upgraded(t, Config{})
				dst, out, err := feed(sh, d, c.stream, next)
				require.NoError(t, err, cut)
				require.Equal(t, c.want, dst, cut)
				require.Empty(t, out, cut)
				require.False(t, d.MidFrame(), cut)
				require.Zero(t, d.Held(), cut)
			}
		})
	}
}

// inFrames is b as messages of the sizes given.
func inFrames(b []byte, sizes ...int) (stream []byte) {
	for _, n := range sizes {
		stream = append(stream, frame(finBit|opBinary, b[:n])...)
		b = b[n:]
	}
	return stream
}

// fragments is b as one message in fragments of the sizes given.
func fragments(b []byte, sizes ...int) (stream []byte) {
	op := byte(opBinary)
	for i, n := range sizes {
		if i == len(sizes)-1 {
			op |= finBit
		}
		stream = append(stream, frame(op, b[:n])...)
		op, b = opContinuation, b[n:]
	}
	return stream
}

func TestFramesSentTogetherWithTheUpgradeAreKept(t *testing.T) {
	stream := append([]byte(request), frame(finBit|opBinary, unhex(t, connect))...)
	for cut := range len(stream) + 1 {
		first, sh, d, u := stream[:cut], NewShared(), &Driver{}, NewUpgrader(Config{})
		res, out := u.Upgrade(sh, d, first, nil)
		if cut < len(request) {
			require.Equal(t, Result{}, res, "cut at %d", cut)
			res, out = u.Upgrade(sh, d, stream, out)
		}
		require.Equal(t, Upgraded, res.Outcome, "cut at %d", cut)
		require.Equal(t, len(request), res.Consumed)
		require.Equal(t, 1, bytes.Count(out, []byte("101 Switching Protocols")))
		dst, _, err := d.Feed(sh, stream[res.Consumed:], nil, nil)
		require.NoError(t, err)
		require.Equal(t, unhex(t, connect), dst)
	}
}

func TestControlFrames(t *testing.T) {
	hello := frame(finBit|opBinary, []byte("hello"))
	join := func(frames ...[]byte) []byte { return bytes.Join(frames, nil) }
	code := func(hi, lo byte, text string) []byte { return append([]byte{hi, lo}, text...) }
	cases := []struct {
		name    string
		cfg     Config
		stream  []byte
		payload string
		out     []byte
		end     CloseError // zero: open
	}{
		{name: "lone ping, then a frame", stream: join(frame(finBit|opPing, []byte("hi")), hello), payload: "hello", out: unhex(t, "8a 02 68 69")},
		{name: "empty ping", stream: frame(finBit|opPing, nil), out: unhex(t, "8a 00")},
		{name: "ping of 125 bytes", stream: frame(finBit|opPing, make([]byte, 125)), out: append([]byte{0x8a, 125}, make([]byte, 125)...)},
		{name: "ping of 126 bytes", stream: frame(finBit|opPing, make([]byte, 126)), end: CloseError{Code: 1002, Label: LabelProtocol, Text: "len > 125 for control"}},
		{name: "unasked pong", stream: join(frame(finBit|opPong, []byte("hi")), hello), payload: "hello"},
		{name: "ping inside a fragmented message", stream: join(frame(opBinary, []byte("hel")), frame(finBit|opPing, []byte("x")), frame(finBit, []byte("lo"))), payload: "hello", out: unhex(t, "8a 01 78")},
		{name: "close", stream: join(hello, frame(finBit|opClose, code(3, 0xe8, "bye")), hello), payload: "hello", out: unhex(t, "88 02 03 e8"), end: CloseError{Code: 1000, Text: "bye", Label: LabelPeerClose, Peer: true}},
		{name: "close without code", stream: frame(finBit|opClose, nil), out: unhex(t, "88 00"), end: CloseError{Code: 1005, Label: LabelPeerClose, Peer: true}},
		{name: "close going away, as a browser sends it", stream: frame(finBit|opClose, code(3, 0xe9, "")), out: unhex(t, "88 02 03 e9"), end: CloseError{Code: 1001, Label: LabelPeerClose, Peer: true}},
		{name: "close inside a fragmented message", stream: join(frame(opBinary, []byte("hel")), frame(finBit|opClose, code(3, 0xe8, ""))), payload: "hel", out: unhex(t, "88 02 03 e8"), end: CloseError{Code: 1000, Label: LabelPeerClose, Peer: true}},
		{name: "close with a reserved code", stream: frame(finBit|opClose, code(3, 0xed, "")), end: CloseError{Code: 1002, Label: LabelProtocol, Text: "bad close code 1005"}},
		{name: "close with half a code", stream: frame(finBit|opClose, []byte{3}), end: CloseError{Code: 1002, Label: LabelProtocol, Text: "close frame with half a code"}},
		{name: "text", stream: join(hello, frame(finBit|opText, []byte("hi"))), payload: "hello", end: CloseError{Code: 1003, Label: LabelText, Text: "MQTT needs binary frames, this is text"}},
		{name: "text where it is allowed", cfg: Config{AllowText: true}, stream: join(hello, frame(finBit|opText, []byte("hi"))), payload: "hellohi"},
		{name: "unmasked", stream: unhex(t, "82 02 c0 00"), end: CloseError{Code: 1002, Label: LabelProtocol, Text: "bad MASK"}},
		{name: "RSV1 without compression", stream: frame(finBit|rsv1Bit|opBinary, nil), end: CloseError{Code: 1002, Label: LabelProtocol, Text: "RSV1 set"}},
		{name: "RSV1 on a ping, with compression", cfg: Config{Compression: true}, stream: frame(finBit|rsv1Bit|opPing, nil), end: CloseError{Code: 1002, Label: LabelProtocol, Text: "RSV1 set"}},
		{name: "RSV1 on a continuation, with compression", cfg: Config{Compression: true}, stream: join(frame(opBinary, []byte("x")), frame(finBit|rsv1Bit, nil)), payload: "x", end: CloseError{Code: 1002, Label: LabelProtocol, Text: "RSV1 set"}},
		{name: "negative length", stream: unhex(t, "82 ff 80 00 00 00 00 00 00 00"), end: CloseError{Code: 1002, Label: LabelProtocol, Text: "frame length over 63 bits"}},
		{name: "length in four bytes instead of two, leniently", stream: append(unhex(t, "82 fe 00 05 00 00 00 00"), "hello"...), payload: "hello"},
		{name: "length in four bytes instead of two, strictly", cfg: Config{Strict: true}, stream: append(unhex(t, "82 fe 00 05 00 00 00 00"), "hello"...), end: CloseError{Code: 1002, Label: LabelProtocol, Text: "length not in its shortest form"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			for cut, next := range map[string]func() int{"whole": whole, "byte by byte": oneByte} {
				sh, d := upgraded(t, c.cfg)
				dst, out, err := feed(sh, d, c.stream, next)
				require.Equal(t, c.payload, string(dst), cut)
				if c.end.Label == "" {
					require.NoError(t, err, cut)
					require.Equal(t, string(c.out), string(out), cut)
					continue
				}
				require.Equal(t, &c.end, err, cut)
				if !c.end.Peer {
					c.out = append([]byte{0x88, byte(2 + len(c.end.Text)), byte(c.end.Code >> 8), byte(c.end.Code)}, c.end.Text...)
				}
				require.Equal(t, string(c.out), string(out), cut)
				// It stays closed, and silent.
				dst, out, again := d.Feed(sh, hello, nil, nil)
				require.Equal(t, err, again)
				require.Empty(t, append(dst, out...))
				require.Empty(t, d.AppendMessage(nil, []byte("x")))
				require.Empty(t, d.AppendClose(nil, 1000, ""))
			}
		})
	}
}

func TestHugeFrameKeepsNothing(t *testing.T) {
	sh, d := upgraded(t, Config{})
	dst, out, err := d.Feed(sh, unhex(t, "82 ff 40 00 00 00 00 00 00 00 01 02 03 04 <payload> 01 02"), nil, nil)
	require.NoError(t, err)
	require.Equal(t, []byte{0, 0}, dst)
	require.Empty(t, out)
	require.Zero(t, d.Held())
	require.True(t, d.MidFrame())
	require.Equal(t, uint64(1<<62-2), d.need)
}

func TestCompression(t *testing.T) {
	long := []byte(strings.Repeat("all work and no play ", 1000))
	ended := append(deflated(t, []byte("x"))[:0:0], 0x03, 0x00) // an empty final block: the deflate stream ends here
	cases := []struct {
		name    string
		stream  []byte
		payload string
		end     Label
		code    int
	}{
		{"one frame", frame(finBit|rsv1Bit|opBinary, deflated(t, long)), string(long), "", 0},
		{"two messages, the second plain", append(frame(finBit|rsv1Bit|opBinary, deflated(t, []byte("a"))), frame(finBit|opBinary, []byte("b"))...), "ab", "", 0},
		{"plain byte in front of a bomb", append(frame(finBit|opBinary, []byte("a")), frame(finBit|rsv1Bit|opBinary, deflated(t, make([]byte, 8<<20)))...), "a", LabelTooBig, 1009},
		{"exactly the limit", frame(finBit|rsv1Bit|opBinary, deflated(t, make([]byte, 64<<10))), string(make([]byte, 64<<10)), "", 0},
		{"one more than the limit", frame(finBit|rsv1Bit|opBinary, deflated(t, make([]byte, 64<<10+1))), "", LabelTooBig, 1009},
		{"too long on the wire", frame(finBit|rsv1Bit|opBinary, make([]byte, 8<<10+1)), "", LabelTooBig, 1009},
		{"too long on the wire in sum", append(frame(rsv1Bit|opBinary, make([]byte, 8<<10)), frame(finBit, make([]byte, 1))...), "", LabelTooBig, 1009},
		{"corrupt", frame(finBit|rsv1Bit|opBinary, []byte{0xff, 0xff}), "", LabelBadDeflate, 1007},
		{"empty", frame(finBit|rsv1Bit|opBinary, nil), "", LabelBadDeflate, 1007},
		{"deflate ends before the message", frame(finBit|rsv1Bit|opBinary, append(ended, make([]byte, 8000)...)), "", LabelBadDeflate, 1007},
		{"text", frame(finBit|rsv1Bit|opText, deflated(t, long)), "", LabelText, 1003},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			sh, d := upgraded(t, Config{Compression: true, MaxMessage: 8 << 10, MaxInflated: 64 << 10})
			next := rand.New(rand.NewPCG(1, 2))
			dst, out, err := feed(sh, d, c.stream, func() int { return 1 + next.IntN(700) })
			require.Equal(t, c.payload, string(dst))
			require.Zero(t, d.Held())
			if c.end == "" {
				require.NoError(t, err)
				require.Empty(t, out)
				return
			}
			require.Equal(t, c.end, err.(*CloseError).Label)
			require.Equal(t, c.code, err.(*CloseError).Code)
			require.Equal(t, []byte{0x88, byte(c.code >> 8), byte(c.code)}, []byte{out[0], out[2], out[3]})
		})
	}
}

func TestAppendMessage(t *testing.T) {
	_, d := upgraded(t, Config{})
	require.Equal(t, unhex(t, "82 02 d0 00"), d.AppendMessage(nil, unhex(t, "d0 00")), "PINGRESP of the capture")
	require.Equal(t, unhex(t, "01 82 04 20 02 00 00"), d.AppendMessage([]byte{1}, unhex(t, "20 02 00 00")))
	require.Empty(t, d.AppendMessage(nil, nil))
	for _, n := range []int{0, 125, 126, 65535, 65536, 1 << 20} {
		b := make([]byte, 10)
		size := PutHeader(b, n)
		require.Equal(t, HeaderSize(n), size)
		h := parseHeader(append(b[:size:size], make([]byte, 14)...))
		require.Equal(t, header{fin: true, op: opBinary, size: size, length: uint64(n), shortest: true}, h)
	}
}

func TestAppendMessageCompressesWhatIsWorthIt(t *testing.T) {
	long := bytes.Repeat([]byte("all work and no play "), 5000)
	_, d := upgraded(t, Config{Compression: true})
	require.Equal(t, unhex(t, "82 02 d0 00"), d.AppendMessage(nil, unhex(t, "d0 00")))
	var shown int
	d.Trace = func(ev FrameEvent) { shown += int(ev.Length); require.True(t, ev.Out) }
	out := d.AppendMessage([]byte{1, 2}, long)
	require.Less(t, len(out), 2000)
	require.Equal(t, []byte{1, 2}, out[:2])
	require.Positive(t, shown)

	// What we write, a driver on the other side reads.
	sh, peer := upgraded(t, Config{Compression: true})
	var masked []byte
	for b := out[2:]; len(b) > 0; {
		h := parseHeader(b)
		masked = append(masked, frame(b[0], b[h.size:h.size+int(h.length)])...)
		b = b[h.size+int(h.length):]
	}
	dst, _, err := peer.Feed(sh, masked, nil, nil)
	require.NoError(t, err)
	require.Equal(t, long, dst)
}

func TestAppendCloseIsTheLastWord(t *testing.T) {
	sh, d := upgraded(t, Config{})
	require.Equal(t, append(unhex(t, "88 05 03 f3"), "bye"...), d.AppendClose(nil, 1011, "bye"))
	require.True(t, d.Closed())
	dst, out, err := d.Feed(sh, frame(finBit|opBinary, []byte("late")), nil, nil)
	require.Equal(t, &CloseError{Code: 1011, Text: "bye", Label: LabelClosed}, err)
	require.Empty(t, append(dst, out...))

	_, d = upgraded(t, Config{})
	out = d.AppendClose(nil, 1000, strings.Repeat("ä", 100))
	require.Equal(t, byte(124), out[1], "cut between characters") // 2 + 61 of 2 bytes
	require.Len(t, out, 126)
}

func TestPanicInALibraryClosesThisConnectionOnly(t *testing.T) {
	sh, d := upgraded(t, Config{})
	other := &Driver{}
	res, _ := NewUpgrader(Config{}).Upgrade(sh, other, []byte(request), nil)
	require.Equal(t, Upgraded, res.Outcome)
	d.Trace = func(ev FrameEvent) {
		if ev.Opcode == opPong && !ev.Out {
			panic("boom")
		}
	}
	stream := append(frame(finBit|opBinary, []byte("before")), frame(finBit|opPong, nil)...)
	dst, out, err := d.Feed(sh, stream, nil, nil)
	require.Equal(t, "before", string(dst))
	require.Equal(t, []byte{0x88, 16, 0x03, 0xf3}, out[:4])
	end := err.(*CloseError)
	require.Equal(t, "boom", end.Panic)
	require.Contains(t, string(end.Stack), "readHeader")

	dst, _, err = other.Feed(sh, frame(finBit|opBinary, []byte("alive")), nil, nil)
	require.NoError(t, err)
	require.Equal(t, "alive", string(dst))
}

func TestDriverMovesBetweenLoops(t *testing.T) {
	a, d := upgraded(t, Config{})
	stream := fragments([]byte("moved between loops"), 5, 0, 7, 7)
	loops, dst := []*Shared{a, NewShared(), NewShared()}, []byte(nil)
	for i, c := range stream {
		var err error
		dst, _, err = d.Feed(loops[i%3], []byte{c}, dst, nil)
		require.NoError(t, err)
	}
	require.Equal(t, "moved between loops", string(dst))
}

func TestTraceShowsEveryFrame(t *testing.T) {
	sh, d := upgraded(t, Config{})
	var events []FrameEvent
	d.Trace = func(ev FrameEvent) { events = append(events, ev) }
	stream := append(unhex(t, "82 82 8f 06 5d 55 4f 06"), frame(finBit|opPing, []byte("x"))...)
	stream = append(stream, frame(finBit|opClose, []byte{3, 0xe8})...)
	_, _, err := d.Feed(sh, stream, nil, nil)
	require.Error(t, err)
	key := [4]byte{0x8f, 0x06, 0x5d, 0x55}
	require.Equal(t, []FrameEvent{
		{Fin: true, Opcode: opBinary, Masked: true, Key: key, Length: 2},
		{Fin: true, Opcode: opPing, Masked: true, Key: key, Length: 1},
		{Fin: true, Opcode: opPong, Out: true, Length: 1},
		{Fin: true, Opcode: opClose, Masked: true, Key: key, Length: 2},
		{Fin: true, Opcode: opClose, Out: true, Length: 2},
	}, events)
}

func TestDriverIsSmall(t *testing.T) {
	require.LessOrEqual(t, unsafe.Sizeof(Driver{}), uintptr(288))
}

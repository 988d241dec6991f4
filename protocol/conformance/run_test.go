// SPDX-License-Identifier: Apache-2.0

package conformance_test

import (
	"bufio"
	"context"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"emqttd/protocol/conformance"
	"emqttd/protocol/packet"
)

// answers is a broker in as many words: the hexadecimal answer to each packet
// type, "close" to end the connection, "only3" to refuse what is not 3.1, "" for
// silence.
type answers map[packet.Type]string

// polite answers as 3.1.1 wants and delivers nothing.
var polite = answers{
	packet.CONNECT: "20020000", packet.PINGREQ: "d000", packet.DISCONNECT: "close",
	packet.SUBSCRIBE: "9003000100", packet.UNSUBSCRIBE: "b0020001", packet.PUBLISH: "",
}

// with is a copy of a with one answer changed.
func (a answers) with(t packet.Type, answer string) answers {
	changed := answers{t: answer}
	for other, text := range a {
		if other != t {
			changed[other] = text
		}
	}
	return changed
}

// serve starts a broker of answers on loopback and returns how to reach it.
func serve(t *testing.T, a answers) conformance.Dialer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var conns sync.WaitGroup
	conns.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			conns.Go(func() { a.speak(c) })
		}
	})
	t.Cleanup(func() { _ = l.Close(); conns.Wait() })
	return func(ctx context.Context) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", l.Addr().String())
	}
}

func (a answers) speak(c net.Conn) {
	defer func() { _ = c.Close() }()
	r := bufio.NewReader(c)
	for {
		first, err := r.ReadByte()
		if err != nil {
			return
		}
		length, err := r.ReadByte() // the tests send nothing longer
		if err != nil {
			return
		}
		body := make([]byte, length)
		if _, err := io.ReadFull(r, body); err != nil {
			return
		}
		for answer := range strings.FieldsSeq(a[packet.Type(first>>4)]) {
			switch {
			case answer == "close":
				return
			case answer == "only3" && body[1] == 4: // MQTT, not MQIsdp
				_, _ = c.Write([]byte{0x20, 2, 0, 1})
				return
			}
			b, _ := hex.DecodeString(answer)
			if _, err := c.Write(b); err != nil {
				return
			}
		}
	}
}

// quick keeps failing steps short.
var quick = conformance.Options{Timeout: 300 * time.Millisecond, Quiet: time.Millisecond}

func play(t *testing.T, dial conformance.Dialer, script string, opts conformance.Options) conformance.Result {
	t.Helper()
	list, err := conformance.Parse("test.txt", "[MQTT-0.0.0-1] A test.\n"+script, packet.V311)
	require.NoError(t, err)
	results := conformance.Run(t.Context(), dial, list, opts)
	require.Len(t, results, 1)
	return results[0]
}

func TestRun(t *testing.T) {
	for name, c := range map[string]struct {
		broker answers
		script string
		want   conformance.Verdict
		says   string // part of the result in one line
	}{
		"an expected answer passes": {polite, "connect a\na> pingreq\na< pingresp", conformance.Pass, "pass"},
		"a wrong packet fails": {polite.with(packet.PINGREQ, "40020001"), "connect a\na> pingreq\na< pingresp", conformance.Fail,
			"line 4: a< pingresp: expected pingresp, got"},
		"a wrong field fails":           {polite, "connect a\na> subscribe id=2 filter=x qos=0\na< suback id=2", conformance.Fail, "got suback id=1 codes=0, which is not id=2"},
		"silence fails":                 {polite, "connect a\na> publish topic=x\na< puback", conformance.Fail, "got nothing within 300ms"},
		"a refused CONNECT fails":       {polite, "connect a present=1", conformance.Fail, "got connack present=0 code=0, which is not present=1"},
		"a packet is not a close":       {polite, "connect a\na> pingreq\na< closed", conformance.Fail, "expected closed, got pingresp"},
		"a close is a close":            {polite, "connect a\na> disconnect\na< closed", conformance.Pass, ""},
		"nothing came":                  {polite, "connect a\na> publish topic=x\na< nothing", conformance.Pass, ""},
		"something came":                {polite.with(packet.PUBLISH, "3003000178"), "connect a\na> publish topic=x\na< nothing", conformance.Fail, "expected nothing, got publish"},
		"one of two events":             {polite, "connect a\na> pingreq\na< closed or pingresp", conformance.Pass, ""},
		"none of two events":            {polite, "connect a\na> pingreq\na< closed or suback", conformance.Fail, "expected closed or suback, got"},
		"both events, in another order": {polite.with(packet.PINGREQ, "40020001 d000"), "connect a\na> pingreq\na< pingresp and puback id=1", conformance.Pass, ""},
		"one of both events is missing": {polite, "connect a\na> pingreq\na< pingresp and puback id=1", conformance.Fail, "got nothing"},
		"several of the same":           {polite.with(packet.PUBLISH, "3003000178 3003000178"), "connect a\na> publish topic=x\na<+ publish topic=x", conformance.Pass, ""},
		"not even one":                  {polite, "connect a\na> publish topic=x\na<+ publish topic=x", conformance.Fail, "got nothing"},
		"none is several too":           {polite, "connect a\na> publish topic=x\na<* publish topic=x", conformance.Pass, ""},
		"one of several differs":        {polite.with(packet.PUBLISH, "3003000178 3003000179"), "connect a\na> publish topic=x\na<* publish topic=x", conformance.Fail, "which is not topic=x"},
		"passing over others":           {polite.with(packet.PUBLISH, "40020001 40020002 d000"), "connect a\na> publish topic=x\na<< pingresp", conformance.Pass, ""},
		"passing over everything":       {polite, "connect a\na> pingreq\na<< suback", conformance.Fail, "got other packets only"},
		"an exemption":                  {polite, "connect a\na> pingreq\na? pingresp -- it pings\na< suback", conformance.NotApplicable, "not applicable: it pings"},
		"an exemption that is not met":  {polite, "connect a\na> pingreq\na? suback -- it subscribes\na< pingresp", conformance.Pass, ""},
		"an exemption for silence":      {polite, "connect a\na> publish topic=x\na? nothing -- it is silent", conformance.NotApplicable, "it is silent"},
		"a capture is used":             {polite, "connect a\na> subscribe id=1 filter=x qos=0\na< suback id=?p\na> unsubscribe id=$p filter=x\na< unsuback id=$p", conformance.Pass, ""},
		"a repetition counts":           {polite.with(packet.PUBLISH, "40020001 40020002"), "connect a\na> publish topic=x qos=1 id=1\nrepeat 2: a< puback id=$i", conformance.Pass, ""},
		"packets sent together":         {polite, "open a\na+ connect\na> pingreq\na< connack\na< pingresp", conformance.Pass, ""},
		"a condition that is not met":   {polite, "needs websocket\nconnect a", conformance.NotApplicable, "no WebSocket address is given"},
		"credentials are not given":     {polite, "needs credentials\nconnect a", conformance.NotApplicable, "no user name and password are given"},
		"a property of no broker of 3.1.1": {polite, "needs receive-maximum<=100\nconnect a", conformance.NotApplicable,
			"receive-maximum of the broker is 65535"},
		"bytes that are no packet":        {polite.with(packet.PINGREQ, "f000"), "connect a\na> pingreq\na< pingresp", conformance.Fail, "bytes that are no packet"},
		"a remaining length without end":  {polite.with(packet.PINGREQ, "30ffffffffff"), "connect a\na> pingreq\na< pingresp", conformance.Fail, "remaining length"},
		"a broker that lets nobody in":    {polite.with(packet.CONNECT, "20020005 close"), "connect a", conformance.Error, "refuses a CONNECT of version 3.1.1: not authorized"},
		"a broker that speaks no 3.1.1":   {polite.with(packet.CONNECT, "only3 20020000"), "connect a", conformance.NotApplicable, "refuses a CONNECT of version 3.1.1: unsupported protocol version"},
		"a broker that answers nothing":   {polite.with(packet.CONNECT, "close"), "connect a", conformance.Error, "does not answer a CONNECT of version 3.1"},
		"no PINGRESP shows nothing":       {polite.with(packet.PINGREQ, ""), "connect a\na< nothing", conformance.Fail, "expected pingresp"},
		"a value that cannot be encoded":  {polite, "connect a\na> publish topic=x qos=4", conformance.Error, "line 3"},
		"a connection that ended is over": {polite, "connect a\nbye a\na< closed", conformance.Pass, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := play(t, serve(t, c.broker), c.script, quick)
			require.Equal(t, c.want, got.Verdict, got)
			require.Contains(t, got.String(), c.says)
		})
	}
}

func TestRunTellsBytesBothWays(t *testing.T) {
	got := play(t, serve(t, polite), "connect a\na> pingreq\na< suback", quick)
	require.Equal(t, conformance.Fail, got.Verdict)
	require.GreaterOrEqual(t, len(got.Trace), 4)
	require.True(t, got.Trace[0].Sent)
	require.Equal(t, "a< connack present=0 code=0  20 02 00 00", got.Trace[1].String())
	require.Equal(t, "a> pingreq  c0 00", got.Trace[2].String())
	require.Equal(t, "a< pingresp  d0 00", got.Trace[3].String())
}

func TestRunCannotConnect(t *testing.T) {
	var reported atomic.Int32
	opts := quick
	opts.Progress = func(conformance.Result) { reported.Add(1) }
	dial := func(context.Context) (net.Conn, error) { return nil, errors.New("no route") }
	for _, r := range conformance.Run(t.Context(), dial, conformance.Faults()[:3], opts) {
		require.Equal(t, conformance.Error, r.Verdict)
		require.Contains(t, r.Reason, "no route")
	}
	require.EqualValues(t, 3, reported.Load())
}

func TestRunEndsWhenItsContextDoes(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	list, err := conformance.Parse("t", "[A] B.\nconnect a\nwait 60000", packet.V311)
	require.NoError(t, err)
	dial := serve(t, polite)
	var dialled atomic.Int32
	results := conformance.Run(ctx, func(ctx context.Context) (net.Conn, error) {
		if dialled.Add(1) == 4 { // three probes, then the script
			defer cancel()
		}
		return dial(ctx)
	}, list, quick)
	require.Equal(t, conformance.Error, results[0].Verdict, results[0])
	require.ErrorIs(t, ctx.Err(), context.Canceled)
}

func TestRunKeepsTheOrderAndTheBoundOfParallelScripts(t *testing.T) {
	var now, most atomic.Int32
	dial := serve(t, polite)
	counted := func(ctx context.Context) (net.Conn, error) {
		c, err := dial(ctx)
		if n := now.Add(1); n > most.Load() {
			most.Store(n)
		}
		return &countedConn{Conn: c, n: &now}, err
	}
	var text strings.Builder
	for range 20 {
		text.WriteString("[A] B.\nconnect a\na> pingreq\na< pingresp\n")
	}
	list, err := conformance.Parse("t", text.String(), packet.V311)
	require.NoError(t, err)
	opts := quick
	opts.Parallel = 3
	for i, r := range conformance.Run(t.Context(), counted, list, opts) {
		require.Same(t, &list[i], r.Statement)
		require.Equal(t, conformance.Pass, r.Verdict, r)
	}
	require.LessOrEqual(t, most.Load(), int32(3))
	require.Zero(t, now.Load(), "connections left open")
}

type countedConn struct {
	net.Conn
	n    *atomic.Int32
	once sync.Once
}

func (c *countedConn) Close() error {
	c.once.Do(func() { c.n.Add(-1) })
	return c.Conn.Close()
}

// TestRunCleansUp looks at what comes after a script that left a session and a
// retained message: a clean CONNECT for the one, an empty message for the other.
func TestRunCleansUp(t *testing.T) {
	var mu sync.Mutex
	var sent []byte
	dial := serve(t, polite)
	tapped := func(ctx context.Context) (net.Conn, error) {
		c, err := dial(ctx)
		return &tap{c, func(b []byte) { mu.Lock(); sent = append(sent, b...); mu.Unlock() }}, err
	}
	got := play(t, tapped, "connect a id=me clean=0\na> publish topic=left retain=1 payload=behind\nbye a", quick)
	require.Equal(t, conformance.Pass, got.Verdict, got)
	require.Contains(t, string(sent), "\x10\x0e\x00\x04MQTT\x04\x02\x00\x3c\x00\x02me", "a clean session")
	require.Contains(t, string(sent), "\x31\x06\x00\x04left", "an empty retained message")
	for _, e := range got.Trace {
		require.NotEqual(t, "cleanup", e.Conn)
	}
}

type tap struct {
	net.Conn
	seen func([]byte)
}

func (c *tap) Write(b []byte) (int, error) { c.seen(b); return c.Conn.Write(b) }

func TestRunSpeaksWebSocketFrames(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var server sync.WaitGroup
	server.Go(func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer func() { _ = c.Close() }()
		r := bufio.NewReader(c)
		if req, err := http.ReadRequest(r); err != nil || req.URL.Path != "/ws" || req.Header.Get("Sec-WebSocket-Protocol") != "mqtt" {
			return
		}
		_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n")
		head := make([]byte, 6)
		if _, err := io.ReadFull(r, head); err != nil || head[0] != 0x82 || head[1] != 0x82 {
			return // FIN and binary; masked, two bytes
		}
		body := make([]byte, 2)
		if _, err := io.ReadFull(r, body); err != nil || body[0]^head[2] != 0xc0 || body[1]^head[3] != 0 {
			return
		}
		_, _ = c.Write([]byte{0x89, 0, 0x02, 1, 0xd0, 0x80, 1, 0x00, 0x88, 2, 0x03, 0xe8}) // ping, PINGRESP in two fragments, close
	})
	t.Cleanup(func() { _ = l.Close(); server.Wait() })
	opts := quick
	opts.WebSocket = &conformance.WebSocket{Host: "test", Path: "/ws", Dial: func(ctx context.Context) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", l.Addr().String())
	}}
	got := play(t, serve(t, polite), `needs websocket
		upgrade a protocol=mqtt
		a< upgraded status=101 protocol=mqtt
		a> raw c0 00
		a< pingresp hex=d000
		a< closed`, opts)
	require.Equal(t, conformance.Pass, got.Verdict, got)
}

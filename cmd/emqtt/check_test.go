// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// pingingBroker speaks so much of both versions that PINGREQ works: it accepts
// CONNECT, whose level is byte 8, and answers PINGREQ. What came as CONNECT goes
// to seen.
func pingingBroker(t *testing.T) (address string, seen chan []byte) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	seen = make(chan []byte, 64)
	var conns sync.WaitGroup
	conns.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			conns.Go(func() { answerPings(c, seen) })
		}
	})
	t.Cleanup(func() { _ = l.Close(); conns.Wait() })
	return l.Addr().String(), seen
}

func answerPings(c net.Conn, seen chan<- []byte) {
	defer func() { _ = c.Close() }()
	for {
		head := make([]byte, 2)
		if _, err := io.ReadFull(c, head); err != nil {
			return
		}
		body := make([]byte, head[1])
		if _, err := io.ReadFull(c, body); err != nil {
			return
		}
		answer := []byte{0xd0, 0}
		switch head[0] >> 4 {
		case 1:
			seen <- body
			answer = []byte{0x20, 2, 0, 0}
			if body[6] == 5 {
				answer = []byte{0x20, 3, 0, 0, 0}
			}
		case 14:
			return
		}
		if _, err := c.Write(answer); err != nil {
			return
		}
	}
}

// check runs the command and returns its output.
func check(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	cmd := checkCommand()
	cmd.SetOut(&out)
	cmd.SetErr(&out)
	cmd.SetArgs(args)
	cmd.SetContext(t.Context())
	err := cmd.Execute()
	return out.String(), err
}

func TestCheckPrintsOneLineForWhatPassesAndASummary(t *testing.T) {
	address, _ := pingingBroker(t)
	out, err := check(t, "--url", "mqtt://"+address, "--only", "MQTT-3.12.4-1")
	require.NoError(t, err)
	require.Equal(t, "pass            3.1.1  MQTT-3.12.4-1    PINGREQ is answered with PINGRESP.\n"+
		"pass            5.0    MQTT-3.12.4-1    PINGREQ is answered with PINGRESP.\n"+
		"2 statements: 2 pass, 0 fail, 0 not applicable, 0 error\n", out)
}

func TestCheckPrintsStepExpectationAndBytesForWhatFails(t *testing.T) {
	address, _ := pingingBroker(t)
	out, err := check(t, "--url", "mqtt://"+address, "--only", "3.1.0-2", "--version", "3.1.1", "--timeout", "300ms")
	require.ErrorContains(t, err, "1 of 1 statements")
	require.Contains(t, out, "fail            3.1.1  MQTT-3.1.0-2")
	require.Contains(t, out, "    step      a< closed\n")
	require.Contains(t, out, "    expected  closed\n    got       connack present=0 code=0\n")
	require.Contains(t, out, "      a< connack present=0 code=0  20 02 00 00\n")
	require.Contains(t, out, "1 statements: 0 pass, 1 fail")
}

func TestCheckSaysWhyAStatementDoesNotApply(t *testing.T) {
	address, _ := pingingBroker(t)
	out, err := check(t, "--url", "mqtt://"+address, "--only", "MQTT-6.0.0-[14]", "--version", "5")
	require.NoError(t, err)
	require.Contains(t, out, "not applicable  5.0    MQTT-6.0.0-4")
	require.Contains(t, out, "    because   no WebSocket address is given\n")
}

func TestCheckPrintsJSON(t *testing.T) {
	address, _ := pingingBroker(t)
	out, err := check(t, "--url", "mqtt://"+address, "--only", "MQTT-3.12.4-1", "--json", "--verbose")
	require.NoError(t, err)
	decoder := json.NewDecoder(bytes.NewBufferString(out))
	for _, version := range []string{"3.1.1", "5.0"} {
		var line checkLine
		require.NoError(t, decoder.Decode(&line))
		require.Equal(t, version, line.Version)
		require.Equal(t, "MQTT-3.12.4-1", line.ID)
		require.Equal(t, "pass", line.Verdict)
		require.Equal(t, checkExchange{"a", true, "pingreq", "c000"}, line.Trace[2])
	}
	require.False(t, decoder.More())
}

func TestCheckSendsTheCredentialsOfTheAddress(t *testing.T) {
	address, seen := pingingBroker(t)
	_, err := check(t, "--url", "mqtt://me:secret@"+address, "--only", "MQTT-3.12.4-1", "--version", "3.1.1")
	require.NoError(t, err)
	require.Contains(t, string(<-seen), "\x00\x02me\x00\x06secret")
}

func TestCheckSaysOnceThatItReachesNoBroker(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	out, err := check(t, "--url", "mqtt://"+l.Addr().String())
	require.ErrorContains(t, err, "connection refused")
	require.NotContains(t, out, "statements")
}

func TestCheckRefusesFlagsThatMeanNothing(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty.pem")
	require.NoError(t, os.WriteFile(empty, nil, 0o600))
	for want, args := range map[string][]string{
		"want mqtt://":               {"--url", "http://localhost"},
		"none of 3.1.1, 5.0, all":    {"--version", "4"},
		"syntax error in pattern":    {"--only", "["},
		"no statement matches":       {"--only", "MQTT-9.9.9-9"},
		"want ws:// or wss://":       {"--websocket", "mqtt://localhost"},
		"no such file":               {"--cafile", filepath.Join(t.TempDir(), "none.pem")},
		"has no certificate":         {"--cafile", empty},
		"--url: parse":               {"--url", "mqtt://%zz"},
		"unknown flag: --everything": {"--everything"},
		"unknown command":            {"surplus"},
	} {
		_, err := check(t, args...)
		require.ErrorContains(t, err, want)
	}
}

func TestCheckFillsInPortAndPathOfAnAddress(t *testing.T) {
	for address, want := range map[string]string{
		"mqtt://h":         "mqtt://h:1883",
		"mqtts://h":        "mqtts://h:8883",
		"ws://h":           "ws://h:80/mqtt",
		"wss://h:9001/ws":  "wss://h:9001/ws",
		"mqtt://[::1]:123": "mqtt://[::1]:123",
		"tcp://[::1]":      "tcp://[::1]:1883",
	} {
		u, err := brokerURL("--url", address)
		require.NoError(t, err)
		require.Equal(t, want, u.String())
	}
}

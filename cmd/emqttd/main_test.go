// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"emqttd/protocol/client"
	"emqttd/protocol/packet"
)

// patience is how long a test waits for something that must happen.
const patience = 20 * time.Second

// TestMain lets the test binary be the broker: tests start it as a process of
// its own, which they can kill.
func TestMain(m *testing.M) {
	if os.Getenv("EMQTTD_TEST_AS_BROKER") == "" {
		os.Exit(m.Run())
	}
	_ = os.Unsetenv("EMQTTD_TEST_AS_BROKER")
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// process is a broker in a process of its own.
type process struct {
	t    *testing.T
	cmd  *exec.Cmd
	log  chan map[string]any // its lines; closed at its end
	addr string              // of tcp:default
}

// base is the command line of every broker here: ports of its own, a log for
// machines, a data directory.
func base(dir string, more ...string) []string {
	return append([]string{"--set", "listeners.tcp.default.bind=127.0.0.1:0", "--set", "listeners.ws.default.bind=",
		"--set", "dashboard.bind=", "--set", "log.format=json", "--set", "node.data_dir=" + dir}, more...)
}

func command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(self, args...)
	cmd.Env = append(os.Environ(), "EMQTTD_TEST_AS_BROKER=1")
	return cmd
}

// boot starts a broker and waits until it says that it runs.
func boot(t *testing.T, env []string, args ...string) *process {
	t.Helper()
	p := &process{t: t, cmd: command(t, args...), log: make(chan map[string]any, 10_000)}
	p.cmd.Env = append(p.cmd.Env, env...)
	stderr, err := p.cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, p.cmd.Start())
	t.Cleanup(func() { _ = p.cmd.Process.Kill() })
	go func() {
		defer close(p.log)
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			line := map[string]any{}
			if json.Unmarshal(lines.Bytes(), &line) == nil {
				p.log <- line
			}
		}
	}()
	for {
		line := p.line()
		if line["listener"] == "tcp:default" {
			p.addr = line["address"].(string)
		}
		if line["message"] == "emqttd is running" {
			return p
		}
	}
}

func (p *process) line() map[string]any {
	p.t.Helper()
	select {
	case line, ok := <-p.log:
		require.True(p.t, ok, "the broker has ended")
		return line
	case <-time.After(patience):
		require.Fail(p.t, "the broker says nothing")
		return nil
	}
}

// says waits for a line of the log.
func (p *process) says(message string) map[string]any {
	p.t.Helper()
	for {
		if line := p.line(); line["message"] == message {
			return line
		}
	}
}

// exit waits for the end of the process and is its exit code; -1: a signal.
func (p *process) exit() int {
	p.t.Helper()
	for range p.log {
		continue
	}
	var failed *exec.ExitError
	if err := p.cmd.Wait(); err != nil && !errors.As(err, &failed) {
		require.NoError(p.t, err)
	}
	return p.cmd.ProcessState.ExitCode()
}

func (p *process) signal(s os.Signal) {
	p.t.Helper()
	require.NoError(p.t, p.cmd.Process.Signal(s))
}

// join connects a client and returns its CONNACK.
func (p *process) join(c *packet.Connect) (*client.Conn, *packet.Connack) {
	p.t.Helper()
	nc, err := net.Dial("tcp", p.addr)
	require.NoError(p.t, err)
	p.t.Cleanup(func() { _ = nc.Close() })
	conn := client.New(nc, client.Options{Version: c.Version})
	require.NoError(p.t, conn.Send(c))
	return conn, receive[*packet.Connack](p.t, conn)
}

func receive[T packet.Packet](t *testing.T, c *client.Conn) T {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	got, err := c.Receive(ctx)
	require.NoError(t, err)
	p, ok := got.(T)
	require.True(t, ok, "%T", got)
	return p
}

func lasting(id string) *packet.Connect {
	q := new(packet.Properties)
	q.Set(packet.PropSessionExpiry).SessionExpiry = 3600
	return &packet.Connect{Version: packet.V5, ClientID: id, Properties: q}
}

// TestAKilledBrokerComesBackWithWhatItAcknowledged: kill -9 between the PUBACK
// and anything else.
func TestAKilledBrokerComesBackWithWhatItAcknowledged(t *testing.T) {
	dir := t.TempDir()
	p := boot(t, nil, base(dir)...)
	sub, _ := p.join(lasting("sub"))
	require.NoError(t, sub.Send(&packet.Subscribe{ID: 1, Subscriptions: []packet.Subscription{{Filter: "t", QoS: packet.QoS2}}}))
	receive[*packet.Suback](t, sub)
	require.NoError(t, sub.Send(&packet.Disconnect{}))
	_, err := sub.Receive(t.Context())
	require.ErrorIs(t, err, io.EOF)
	pub, _ := p.join(lasting("pub"))
	require.NoError(t, pub.Send(&packet.Publish{Topic: []byte("t"), Payload: []byte("acknowledged"), QoS: packet.QoS1, ID: 1, Retain: true}))
	receive[*packet.Ack](t, pub)
	p.signal(syscall.SIGKILL)
	require.Equal(t, -1, p.exit())

	p = boot(t, nil, base(dir)...)
	sub, ack := p.join(lasting("sub"))
	require.True(t, ack.SessionPresent)
	require.Equal(t, "acknowledged", string(receive[*packet.Publish](t, sub).Payload))
	late, _ := p.join(lasting("late"))
	require.NoError(t, late.Send(&packet.Subscribe{ID: 1, Subscriptions: []packet.Subscription{{Filter: "t"}}}))
	receive[*packet.Suback](t, late)
	require.True(t, receive[*packet.Publish](t, late).Retain)
	p.signal(syscall.SIGTERM)
	require.Zero(t, p.exit())
}

func TestSIGTERMTellsClientsAndEndsInOrder(t *testing.T) {
	p := boot(t, nil, base(t.TempDir())...)
	c, _ := p.join(lasting("c"))
	p.signal(syscall.SIGTERM)
	require.Equal(t, packet.ServerShuttingDown, receive[*packet.Disconnect](t, c).Code)
	require.Zero(t, p.exit())
}

func TestSIGHUPReadsTheConfigurationAnewAndAWrongOneChangesNothing(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "emqttd.yaml")
	write := func(text string) { require.NoError(t, os.WriteFile(file, []byte(text), 0o600)) }
	write("mqtt: {max_packet_size: 1000}\n")
	p := boot(t, nil, base(dir, "-c", file)...)
	size := func() uint32 {
		_, ack := p.join(lasting("c"))
		return ack.Properties.MaximumPacketSize
	}
	require.EqualValues(t, 1000, size())
	write("mqtt: {max_packet_size: 2000}\n")
	p.signal(syscall.SIGHUP)
	p.says("reloaded")
	require.EqualValues(t, 2000, size())
	write("mqtt: {max_packet_sice: 3000}\n")
	p.signal(syscall.SIGHUP)
	require.Contains(t, p.says("reload: configuration is wrong, the old one stays")["error"], "max_packet_size")
	require.EqualValues(t, 2000, size())
	write("mqtt: {max_packet_size: 2000}\nlog: {level: debug}\nruntime: {loops: 3}\n")
	for range 2 { // what waits for a restart is said each time
		p.signal(syscall.SIGHUP)
		require.Equal(t, []any{"runtime.loops"}, p.says("reloaded")["need_restart"])
	}
	c, _ := p.join(lasting("d"))
	require.NoError(t, c.Close())
	p.says("connection closed") // at debug
}

// TestSystemdIsTold of what the broker does (sd_notify).
func TestSystemdIsTold(t *testing.T) {
	dir := t.TempDir()
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(dir, "notify"), Net: "unixgram"})
	require.NoError(t, err)
	defer func() { _ = socket.Close() }()
	told := func() string {
		require.NoError(t, socket.SetReadDeadline(time.Now().Add(patience)))
		b := make([]byte, 256)
		n, err := socket.Read(b)
		require.NoError(t, err)
		return string(b[:n])
	}
	p := boot(t, []string{"NOTIFY_SOCKET=" + socket.LocalAddr().String()}, base(dir)...)
	require.Equal(t, "READY=1", told())
	p.signal(syscall.SIGHUP)
	require.Contains(t, told(), "RELOADING=1")
	require.Equal(t, "READY=1", told())
	p.signal(syscall.SIGTERM)
	require.Equal(t, "STOPPING=1", told())
	require.Zero(t, p.exit())
}

func TestOneDataDirectoryServesOneBroker(t *testing.T) {
	dir := t.TempDir()
	boot(t, nil, base(dir)...)
	out, err := command(t, base(dir)...).CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(out), "another", "it says why: %s", out)
}

func TestAPortThatIsTakenIsNamed(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = taken.Close() }()
	out, err := command(t, base(t.TempDir(), "--set", "listeners.tcp.default.bind="+taken.Addr().String())...).CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(out), taken.Addr().String())
}

func TestCommandLine(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "emqttd.yaml")
	for name, tt := range map[string]struct {
		args []string
		file string
		code int
		says []string
	}{
		"a fine configuration":  {[]string{"--check"}, "mqtt: {max_qos: 1}", 0, []string{"fine"}},
		"an unknown key":        {[]string{"--check"}, "mqtt: {max_quos: 1}", exitConfig, []string{"max_quos", "max_qos"}},
		"a value out of range":  {[]string{"--check"}, "mqtt: {max_qos: 3}", exitConfig, []string{"max_qos"}},
		"a file that is absent": {[]string{"--check"}, "acl: {file: nowhere/acl}", exitConfig, []string{"nowhere/acl"}},
		"a listener on all addresses that lets anybody in": {[]string{"--check"}, "listeners: {tcp: {default: {bind: ':1883'}}}", exitConfig,
			[]string{"allow_anonymous: true"}},
		"an unknown flag": {[]string{"--chekc"}, "", 2, []string{"chekc"}},
		"an argument":     {[]string{"start"}, "", 2, []string{"start"}},
		"a value with its origin": {[]string{"--print-config", "--set", "mqtt.max_qos=1"}, "mqtt: {max_packet_size: 4321}", 0,
			[]string{"max_packet_size: 4321", "max_qos: 1", "--set"}},
	} {
		t.Run(name, func(t *testing.T) {
			require.NoError(t, os.WriteFile(file, []byte(tt.file+"\n"), 0o600))
			var out bytes.Buffer
			require.Equal(t, tt.code, run(append([]string{"-c", file}, tt.args...), &out, &out), out.String())
			for _, part := range tt.says {
				require.Contains(t, out.String(), part)
			}
		})
	}
}

// TestWhatIsPrintedIsAConfiguration: --print-config can be fed back.
func TestWhatIsPrintedIsAConfiguration(t *testing.T) {
	var printed, out bytes.Buffer
	require.Zero(t, run([]string{"--print-config"}, &printed, &out), out.String())
	file := filepath.Join(t.TempDir(), "emqttd.yaml")
	require.NoError(t, os.WriteFile(file, printed.Bytes(), 0o600))
	require.Zero(t, run([]string{"-c", file, "--check"}, &out, &out), out.String())
	require.Greater(t, strings.Count(printed.String(), "#"), 50, "every key is explained")
}

func TestHealthAsksTheRunningBroker(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "emqttd.yaml")
	free, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := free.Addr().String()
	require.NoError(t, free.Close())
	require.NoError(t, os.WriteFile(file, []byte("node: {data_dir: "+dir+"}\nlog: {format: json}\ndashboard: {bind: ''}\nlisteners:\n  tcp: {default: {bind: '127.0.0.1:0'}}\n  ws: {default: {bind: '"+address+"'}}\n"), 0o600))
	var out bytes.Buffer
	require.Equal(t, 1, run([]string{"-c", file, "--health"}, &out, &out), "nobody is there yet")
	boot(t, nil, "-c", file)
	out.Reset()
	require.Zero(t, run([]string{"-c", file, "--health"}, &out, &out), out.String())
	require.Contains(t, out.String(), "emqttd is running")
}

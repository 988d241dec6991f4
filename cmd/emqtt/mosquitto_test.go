// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// mosquitto starts the real broker with anonymous access on the first port and
// without on the second; the test is skipped where it or its tools are missing.
func mosquitto(t *testing.T) (open, closed string) {
	t.Helper()
	path, err := exec.LookPath("mosquitto")
	if err != nil {
		path = "/usr/sbin/mosquitto" // not in everybody's PATH
	}
	_, err = os.Stat(path)
	_, noTools := exec.LookPath("mosquitto_sub")
	if err != nil || noTools != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("mosquitto or its tools are not installed: apt-get install mosquitto mosquitto-clients")
		}
		t.Skip("mosquitto or its tools are not installed: apt-get install mosquitto mosquitto-clients")
	}
	open, closed = freePort(t), freePort(t)
	conf := filepath.Join(t.TempDir(), "mosquitto.conf")
	text := "per_listener_settings true\nlistener " + open + " 127.0.0.1\nallow_anonymous true\nlistener " + closed + " 127.0.0.1\nallow_anonymous false\n"
	require.NoError(t, os.WriteFile(conf, []byte(text), 0o600))
	cmd := exec.Command(path, "-v", "-c", conf)
	log, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	running, ended := make(chan bool, 1), make(chan struct{})
	go func() {
		defer close(ended)
		for s := bufio.NewScanner(log); s.Scan(); {
			if strings.Contains(s.Text(), "running") {
				running <- true
			}
		}
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
		_ = cmd.Wait()
	})
	select {
	case <-running:
	case <-ended:
		t.Fatal("mosquitto did not start")
	case <-time.After(10 * time.Second):
		t.Fatal("mosquitto does not run")
	}
	return open, closed
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return fmt.Sprint(l.Addr().(*net.TCPAddr).Port)
}

// real runs mosquitto's own tool.
func real(t *testing.T, stdin, tool string, args ...string) outcome {
	t.Helper()
	var out, errs bytes.Buffer
	cmd := exec.Command("mosquitto_"+tool, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &errs
	cmd.Env = append(os.Environ(), "TZ=UTC", "XDG_CONFIG_HOME=/nonexistent")
	err := cmd.Run()
	if _, exited := err.(*exec.ExitError); err != nil && !exited {
		require.NoError(t, err)
	}
	return outcome{cmd.ProcessState.ExitCode(), out.String(), errs.String()}
}

// different are what two runs may differ in: names that are made up, times, and
// the hint at --help, which mosquitto gives after some errors only.
var different = []struct{ pattern, by string }{
	{`auto-[0-9A-F-]{36}`, "AUTO"},
	{`mosq-[0-9A-Za-z]{18}`, "MOSQ"},
	{`"tst":\s*"[^"]*"`, "TST"},
	{`\n*Use '[^']*' to see usage.\n`, ""},
	{`(?m)^\n`, ""},
}

func (o outcome) comparable() outcome {
	for _, d := range different {
		re := regexp.MustCompile(d.pattern)
		o.out, o.err = re.ReplaceAllString(o.out, d.by), re.ReplaceAllString(o.err, d.by)
	}
	return o
}

func TestAsMosquitto(t *testing.T) {
	open, closed := mosquitto(t)
	for _, p := range [][]string{
		{"-t", "r/1", "-m", "hello"},
		{"-t", "r/2", "-m", `{"a": 1,"b":[1,2.50]}`},
		{"-t", "r/3", "-m", `{"a":{},"b":[],"c":[{"x":1,"y":{"z":[{}]}},[1,[]]],"d":1e30,"e":123456789012,"f":0.1,"g":-0.0,"h":null,"i":true,"j":"q\u00e9\/\u0001","k":3.141592653589793}`},
		{"-t", "r/5", "-q", "2", "-m", "h\u00e9llo\"\\\t", "-D", "publish", "content-type", "text/p", "-D", "publish", "correlation-data", "cd",
			"-D", "publish", "user-property", "k1", "v1", "-D", "publish", "user-property", `k"2`, "v2", "-D", "publish", "response-topic", "re/x", "-D", "publish", "payload-format-indicator", "1"},
	} {
		require.Equal(t, outcome{}, emqtt(t, "", append([]string{"pub", "-p", open, "-r"}, p...)...))
	}
	all := `%%|%A|%C|%D|%E|%F|%l|%m|%P|%p|%q|%R|%r|%S|%t|%x|%X|\\|\t|@@|`
	for _, c := range []struct {
		tool, stdin string
		args        []string
	}{
		{tool: "pub", args: []string{"-t", "a", "-m", "x", "-d"}},
		{tool: "pub", args: []string{"-t", "a", "-m", "x", "-d", "-q", "1", "-V", "31"}},
		{tool: "pub", args: []string{"-t", "a", "-m", "x", "-d", "-q", "2", "-V", "5"}},
		{tool: "pub", args: []string{"-t", "a", "-m", "x", "-d", "-q", "1", "--repeat", "3"}},
		{tool: "pub", args: []string{"-t", "a", "-d", "-l"}, stdin: "l1\nl2\n\nl3"},
		{tool: "pub", args: []string{"-t", "a", "-d", "-s"}, stdin: "l1\nl2\n\nl3"},
		{tool: "pub", args: []string{"-t", "a", "-d", "-n", "-r", "-i", "me", "-c"}},
		{tool: "pub", args: []string{"-t", "a", "-m", "x", "-d", "-D", "publish", "topic-alias", "5", "--repeat", "2"}},
		{tool: "pub", args: []string{"-t", "a", "-m", "x", "-d", "-D", "will", "will-delay-interval", "4", "--will-topic", "q"}},
		{tool: "pub", args: []string{"-t", "a", "-m", "x", "-D", "connect", "maximum-packet-size", "10", "-d"}},
		{tool: "pub", args: []string{"-t", "a", "-m", "x", "-p", closed}},
		{tool: "pub", args: []string{"-t", "a", "-m", "x", "-A", "192.0.2.1"}},
		{tool: "pub", args: []string{"-t", "a", "-m", "x", "-h", "nosuch.invalid"}},
		{tool: "sub", args: []string{"-t", "r/1", "-C", "1"}},
		{tool: "sub", args: []string{"-t", "r/1", "-C", "1", "-v"}},
		{tool: "sub", args: []string{"-t", "r/1", "-C", "1", "-N"}},
		{tool: "sub", args: []string{"-t", "r/1", "-C", "1", "-q", "1", "-d"}},
		{tool: "sub", args: []string{"-t", "r/1", "-W", "1"}},
		{tool: "sub", args: []string{"-t", "r/1", "-W", "1", "-R"}},
		{tool: "sub", args: []string{"-t", "r/1", "-p", closed, "-V", "5"}},
		{tool: "sub", args: []string{"-t", "r/1", "-p", closed, "-V", "31"}},
		{tool: "sub", args: []string{"-t", "none", "-E", "-d", "-t", "none/#"}},
		{tool: "sub", args: []string{"-t", "r/1", "-C", "1", "-F", all}},
		{tool: "sub", args: []string{"-t", "r/5", "-C", "1", "-F", all, "-V", "5", "-q", "2"}},
		{tool: "sub", args: []string{"-t", "r/5", "-C", "1", "-F", "%S|%5S|%05S|%-5S|%5A|%05E|%10C|%-10C|%.3C|%8R|%-8.1R", "-V", "5", "-D", "subscribe", "subscription-identifier", "7"}},
		{tool: "sub", args: []string{"-t", "r/1", "-C", "1", "-F", "[%10t][%-10t][%2.2t][%.2t][%-10.2t][%010l][%10l][%-10l][%20p][%-20p][%020t]"}},
		{tool: "sub", args: []string{"-t", "r/1", "-C", "1", "-F", "%j"}},
		{tool: "sub", args: []string{"-t", "r/1", "-C", "1", "-F", "%J"}},
		{tool: "sub", args: []string{"-t", "r/2", "-C", "1", "-F", "%J"}},
		{tool: "sub", args: []string{"-t", "r/3", "-C", "1", "-F", "%J"}},
		{tool: "sub", args: []string{"-t", "r/3", "-C", "1", "-F", "%J", "--pretty"}},
		{tool: "sub", args: []string{"-t", "r/5", "-C", "1", "-F", "%j", "-V", "5", "-q", "2"}},
		{tool: "sub", args: []string{"-t", "r/5", "-C", "1", "-F", "%j", "--pretty", "-V", "5", "-q", "2", "-D", "subscribe", "subscription-identifier", "7"}},
	} {
		t.Run(c.tool+" "+strings.Join(c.args, " "), func(t *testing.T) {
			args := append([]string{"-p", open}, c.args...)
			want := real(t, c.stdin, c.tool, args...)
			got := emqtt(t, c.stdin, append([]string{c.tool}, args...)...)
			require.Equal(t, want.comparable(), got.comparable())
		})
	}
}

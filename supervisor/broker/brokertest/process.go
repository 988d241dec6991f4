// SPDX-License-Identifier: Apache-2.0

package brokertest

import (
	"fmt"
	"net"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"emqttd/supervisor/broker"
	"emqttd/supervisor/broker/config"
)

const processSets = "EMQTTD_TEST_BROKER"

// Main is TestMain of packages that kill a broker's process: a test binary with
// ProcessEnv in its environment is that broker, and runs no test.
func Main(m *testing.M) {
	sets := os.Getenv(processSets)
	if sets == "" {
		os.Exit(m.Run())
	}
	cfg, _, err := config.Load(config.Sources{Sets: strings.Split(sets, "\n")})
	if err != nil {
		panic(err)
	}
	b, err := broker.Start(cfg, zerolog.New(os.Stderr).Level(zerolog.ErrorLevel))
	if err != nil {
		panic(err)
	}
	panic(<-b.Failed())
}

// ProcessEnv is the environment variable, name and value, that makes a broker with
// these settings of the test binary; see Main.
func ProcessEnv(sets ...string) (name, value string) { return processSets, strings.Join(sets, "\n") }

// Address is where such a broker may listen, again and again: a port that nobody else
// is given while it is down, since on Linux the host is of the loopback network and
// this process's alone. Other tests, and the system, take ports of 127.0.0.1.
func Address(t testing.TB) string {
	t.Helper()
	host := "127.0.0.1"
	if pid := os.Getpid(); runtime.GOOS == "linux" {
		host = fmt.Sprintf("127.%d.%d.%d", 1+pid>>16, pid>>8&0xFF, pid&0xFF)
	}
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

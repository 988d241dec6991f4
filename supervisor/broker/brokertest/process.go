// SPDX-License-Identifier: Apache-2.0

package brokertest

import (
	"os"
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

// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"bytes"
	"io"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheExampleComparisonsAreWellFormed(t *testing.T) {
	for file, brokers := range map[string]int{"bench-compare.yaml": 4, "bench-deaf.yaml": 3, "bench-durable.yaml": 2} {
		t.Run(file, func(t *testing.T) { wellFormed(t, "../../"+file, brokers) })
	}
}

func wellFormed(t *testing.T, file string, brokers int) {
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	c, err := ParseComparison(text)
	require.NoError(t, err)
	require.Len(t, c.Brokers, brokers)
	for _, b := range c.Brokers {
		for _, name := range b.Only {
			require.True(t, strings.Contains(string(text), "{name: "+name+","), "%s plays %q, which is no scenario", b.Name, name)
		}
	}
	for _, s := range c.Scenarios {
		played := 0
		for _, b := range c.Brokers {
			if b.address(&s) != "" {
				played++
			}
		}
		require.GreaterOrEqual(t, played, 2, s.Name)
	}
}

func TestComparisonsThatCannotBePlayedAreRefused(t *testing.T) {
	const broker, row = "brokers: [{name: a, command: a, url: mqtt://127.0.0.1:1}]\n", "scenarios: [{run: p2p}]\n"
	_, err := ParseComparison([]byte(broker + row))
	require.NoError(t, err)
	for name, text := range map[string]string{
		"no broker":                "brokers: []\n" + row,
		"no scenario":              broker,
		"an unknown key":           broker + row + "round: 3\n",
		"an unknown scenario":      broker + "scenarios: [{run: fly}]\n",
		"an unknown transport":     broker + "scenarios: [{run: p2p, transport: pigeon}]\n",
		"too many rounds":          broker + row + "rounds: 1001\n",
		"a broker without address": "brokers: [{name: a, command: a}]\n" + row,
		"two of one name":          "brokers: [{name: a, command: a, url: u}, {name: a, command: a, url: u}]\n" + row,
	} {
		_, err := ParseComparison([]byte(text))
		require.Error(t, err, name)
	}
}

func TestAComparisonStartsPlaysAndStops(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the relay and --pid need Linux")
	}
	self, err := os.Executable()
	require.NoError(t, err)
	c, err := ParseComparison([]byte(`
rounds: 2
brokers:
  - {name: one, command: "{self} bench relay --listen 127.0.0.1:{port}", url: "mqtt://127.0.0.1:{port}"}
  - {name: two/2, command: "{self} bench relay 127.0.0.1:{port}", url: "mqtt://127.0.0.1:{port}"}
  - {name: three, command: "{self} bench relay --listen 127.0.0.1:{port2}", url: "mqtt://127.0.0.1:{port2}", only: [fan]}
scenarios:
  - {name: pairs, run: p2p}
  - {name: fan, run: fanin --qos 0}
`))
	require.NoError(t, err)
	c.Brokers[1].Command = c.Brokers[0].Command
	c.Brokers = append(c.Brokers, ComparedBroker{Name: "broken", Command: self + " bench relay --listen 192.0.2.1:1", URL: "mqtt://127.0.0.1:{port}", Wait: 1e10})
	var progress, raw, out bytes.Buffer
	p := &Comparer{Self: self, Dir: t.TempDir(), Progress: &progress, Raw: &raw}
	table, err := p.Play(t.Context(), c)
	require.NoError(t, err)
	require.Equal(t, 2*(4+3), strings.Count(raw.String(), "\n"), progress.String())
	require.NoError(t, table.Markdown(&out))
	require.Contains(t, out.String(), "| scenario | | one | two/2 | three | broken |")
	require.Contains(t, out.String(), "| pairs | CPU s per million |")
	require.Contains(t, out.String(), "- fan, broken, round 2: the broker ended by itself")
}

// TestARunOfABrokerHasFilesOfItsOwn: no broker finds what another has written, nor
// what it wrote itself the last time.
func TestARunOfABrokerHasFilesOfItsOwn(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the children are relays, which need Linux")
	}
	self, err := os.Executable()
	require.NoError(t, err)
	p := &Comparer{Self: self, Dir: t.TempDir(), Progress: io.Discard}
	one := &ComparedBroker{Name: "old/1", Command: self + " bench relay --listen 127.0.0.1:{port}", Config: "{data}"}
	two := &ComparedBroker{Name: "new", Command: one.Command, Config: "{data}"}
	var folders []string
	for _, b := range []*ComparedBroker{one, two, one} {
		ports, err := freePorts(1)
		require.NoError(t, err)
		c, err := p.start(t.Context(), b, ports)
		require.NoError(t, err)
		said, err := os.ReadFile(p.file(b, ".conf"))
		require.NoError(t, err)
		folders = append(folders, string(said))
		found, err := os.ReadDir(string(said))
		require.NoError(t, err)
		require.Empty(t, found)
		require.NoError(t, os.WriteFile(string(said)+"/store", []byte(b.Name), 0o600))
		c.stop()
		require.NoDirExists(t, string(said))
	}
	require.Equal(t, folders[0], folders[2])
	require.NotEqual(t, folders[0], folders[1])
}

func TestTheTableHoldsMediansAndRatiosOfEachRound(t *testing.T) {
	c := &Comparison{Rounds: 3, Brokers: []ComparedBroker{{Name: "a"}, {Name: "b"}}, Scenarios: []ComparedScenario{{Name: "s"}}}
	table := &Table{comparison: c}
	for round, cpu := range []float64{4, 8, 6} { // a quiet machine, a busy one, one in between
		table.outcomes = append(table.outcomes,
			outcome{"a", "s", round + 1, &Result{CPU: cpu, Rate: 1000, OK: true}},
			outcome{"b", "s", round + 1, &Result{CPU: cpu / 4, Rate: 3000, OK: true, Extra: map[string]float64{"bytes_per_filter": 512}}})
	}
	table.outcomes = append(table.outcomes, outcome{"b", "s", 4, &Result{CPU: 99, Tally: Tally{Lost: 7}}})
	var out bytes.Buffer
	require.NoError(t, table.Markdown(&out))
	require.Equal(t, strings.Join([]string{
		"| scenario | | a | b |",
		"|---|---|---|---|",
		"| s | CPU s per million | 6.00 | 1.50 (0.250x) |",
		"|  | per second | 1,000 | 3,000 (3.00x) |",
		"|  | bytes per filter | - | 512 |",
		"",
		"Medians of 3 interleaved rounds; in brackets the median of each round's ratio to a.",
		"",
		"Runs that were not clean and are not in the medians:",
		"",
		"- s, b, round 4: lost 7, duplicated 0, reordered 0, foreign 0, unacknowledged 0, refused 0",
		"",
	}, "\n"), out.String())
}

func TestNumbersAreWrittenForPeople(t *testing.T) {
	for v, want := range map[float64]string{
		0.01234: "0.012", 0.5: "0.500", 4.567: "4.57", 45.67: "45.7", 456.7: "457", 4567: "4,567", 4567890.4: "4,567,890",
	} {
		require.Equal(t, want, figure(v))
	}
	require.Equal(t, "-1,234", thousands(-1234))
	require.Equal(t, "100", thousands(100))
}

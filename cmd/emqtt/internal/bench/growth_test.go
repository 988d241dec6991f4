// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheExampleOfGrowthIsWellFormed(t *testing.T) {
	text, err := os.ReadFile("../../bench-growth.yaml")
	require.NoError(t, err)
	c, err := ParseComparison(text)
	require.NoError(t, err)
	require.Len(t, c.Axes, 5)
	require.Len(t, c.Scenarios, 4+4+5+5+3)
	require.Equal(t, ComparedScenario{Name: "filters 1,000,000", Run: "route --filters 1000000"}, c.Scenarios[7])
}

func TestAnAxisThatDoesNotGrowIsRefused(t *testing.T) {
	const broker = "brokers: [{name: a, command: a, url: mqtt://127.0.0.1:1}]\n"
	for name, axis := range map[string]string{
		"no name":             `{run: "p2p --size {n}", values: [24, 48]}`,
		"nothing that grows":  `{name: a, run: p2p, values: [24, 48]}`,
		"one value":           `{name: a, run: "p2p --size {n}", values: [24]}`,
		"values out of order": `{name: a, run: "p2p --size {n}", values: [48, 24]}`,
		"a value of nothing":  `{name: a, run: "p2p --size {n}", values: [0, 24]}`,
		"no such scenario":    `{name: a, run: "fly --size {n}", values: [24, 48]}`,
	} {
		_, err := ParseComparison([]byte(broker + "axes: [" + axis + "]"))
		require.Error(t, err, name)
	}
}

// grownTable is a table of two brokers along one axis, whose cost is steps and
// twice that.
func grownTable(steps ...float64) *Table {
	c := &Comparison{Rounds: 1, Brokers: []ComparedBroker{{Name: "a"}, {Name: "b<c"}},
		Axes: []Axis{{Name: "filters", Run: "route --filters {n}", Values: []int{1000, 10_000, 100_000}}}}
	c.Scenarios = c.Axes[0].scenarios()
	t := &Table{comparison: c}
	for i, s := range c.Scenarios {
		t.outcomes = append(t.outcomes,
			outcome{"a", s.Name, 1, &Result{CPU: steps[i], OK: true, Extra: map[string]float64{"bytes_per_filter": 512, "subscribes_per_second": 1}}},
			outcome{"b<c", s.Name, 1, &Result{CPU: 2 * steps[i], OK: i < 2}})
	}
	return t
}

func TestGrowthIsATableOfWhatIsTimesTheFirst(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, grownTable(2, 2.5, 3).Growth(&out))
	require.Equal(t, strings.Join([]string{
		"### filters: `route --filters {n}`",
		"",
		"| filters | a: CPU s per million | b<c: CPU s per million | a: bytes per filter |",
		"|---|---|---|---|",
		"| 1,000 | 2.00 (1.00x) | 4.00 (1.00x) | 512 (1.00x) |",
		"| 10,000 | 2.50 (1.25x) | 5.00 (1.25x) | 512 (1.00x) |",
		"| 100,000 | 3.00 (1.50x) | - | 512 (1.00x) |",
		"",
		"Medians of 1 interleaved rounds; in brackets how many times the first value's.",
		"",
		"Runs that were not clean and are not in the medians:",
		"",
		"- filters 100,000, b<c, round 1: lost 0, duplicated 0, reordered 0, foreign 0, unacknowledged 0, refused 0",
		"",
	}, "\n"), out.String())
}

func TestThePlotIsXMLWithACurveForEachBroker(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, grownTable(2, 20, 200).SVG(&out))
	count := map[string]int{}
	d := xml.NewDecoder(bytes.NewReader(out.Bytes()))
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		if e, ok := token.(xml.StartElement); ok {
			count[e.Name.Local]++
		}
	}
	require.Equal(t, 3+2+3, count["circle"], "a point for each clean run, of two quantities")
	require.Equal(t, 1, strings.Count(out.String(), `d="M62.0 221.7L244.0 154.4L426.0 87.1"`), "a cost that grows with n is a straight line")
	require.Contains(t, out.String(), "b&lt;c")
	require.NotContains(t, out.String(), "NaN")
}

func TestGrowthIsPlayedFromItsFile(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the relay and --pid need Linux")
	}
	self, err := os.Executable()
	require.NoError(t, err)
	c, err := ParseComparison([]byte(`
rounds: 1
brokers:
  - {name: relay, command: "{self} bench relay --listen 127.0.0.1:{port}", url: "mqtt://127.0.0.1:{port}"}
axes:
  - {name: payload, run: "p2p --size {n}", values: [64, 128]}
`))
	require.NoError(t, err)
	var out bytes.Buffer
	table, err := (&Comparer{Self: self, Dir: t.TempDir(), Progress: io.Discard}).Play(t.Context(), c)
	require.NoError(t, err)
	require.NoError(t, table.Growth(&out))
	require.Regexp(t, `\| 64 \| \S+ \(1\.00x\) \|\n\| 128 \| \S+ \(\S+x\) \|`, out.String())
}

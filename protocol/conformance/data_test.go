// SPDX-License-Identifier: Apache-2.0

package conformance_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"emqttd/protocol/conformance"
	"emqttd/protocol/packet"
)

// maxWithoutScript is how many statements of a version may have a reason
// instead of a script.
const maxWithoutScript = 15

func TestEveryNormativeStatementAppearsOnceInTheOrderOfTheStandard(t *testing.T) {
	for v, file := range map[packet.Version]string{
		packet.V311: "testdata/ids_v311.txt", packet.V5: "testdata/ids_v5.txt",
	} {
		t.Run(v.String(), func(t *testing.T) {
			var have []string
			for _, s := range conformance.Statements(v) {
				have = append(have, s.ID)
				require.Equal(t, v, s.Version)
			}
			require.Equal(t, identifiers(t, file), have)
		})
	}
}

// identifiers reads a list of one identifier per line.
func identifiers(t *testing.T, file string) []string {
	t.Helper()
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	var ids []string
	for line := range strings.Lines(string(data)) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			ids = append(ids, line)
		}
	}
	return ids
}

func TestAStatementHasAnIdentifierAMeaningAndAScriptOrAReason(t *testing.T) {
	wellFormed := regexp.MustCompile(`^MQTT-[1-7]\.[0-9]+\.[0-9]+-[0-9]+$`)
	for _, v := range []packet.Version{packet.V311, packet.V5} {
		reasons := 0
		for _, s := range conformance.Statements(v) {
			require.Regexp(t, wellFormed, s.ID)
			require.Regexp(t, `^[A-Z#+].*[.]$`, s.Meaning, s.Name())
			require.NotEqual(t, s.Scripted(), s.Reason != "", s.Name())
			if s.Reason != "" {
				reasons++
			}
		}
		require.LessOrEqual(t, reasons, maxWithoutScript)
	}
}

func TestEveryFaultHasAScriptForTheVersionsThatCanProvokeIt(t *testing.T) {
	scripts := map[string][]packet.Version{}
	for _, s := range conformance.Faults() {
		label := strings.TrimPrefix(s.ID, "fault-")
		require.NotContains(t, scripts[label], s.Version, s.Name())
		scripts[label] = append(scripts[label], s.Version)
		require.True(t, s.Scripted(), s.Name())
	}
	for f, info := range packet.Faults {
		versions := scripts[info.Label]
		require.Contains(t, versions, packet.V5, "no script provokes %s in 5.0", f.Label())
		// A clause of 3.1.1 in the table means that 3.1.1 can provoke it too.
		if strings.Contains(info.Clause, "v3.1.1") {
			require.Contains(t, versions, packet.V311, "no script provokes %s in 3.1.1", f.Label())
		}
		delete(scripts, info.Label)
	}
	require.Empty(t, scripts, "scripts for faults that are not in the table")
}

func TestAScriptOfAFaultExpectsTheCodeOfItsRow(t *testing.T) {
	codes := map[string]string{}
	for _, info := range packet.Faults {
		codes[info.Label] = strings.ToLower(hexByte(info.Code))
	}
	plain := map[string]bool{"not_connected": true} // closed without a word [v5 MQTT-3.14.0-1]
	for _, s := range conformance.Faults() {
		label := strings.TrimPrefix(s.ID, "fault-")
		if s.Version != packet.V5 || plain[label] {
			continue
		}
		require.Regexp(t, `codes?=0x[0-9a-f|x]*`+codes[label][2:], s.Source, s.Name())
	}
}

func hexByte(c packet.ReasonCode) string {
	const digits = "0123456789abcdef"
	return "0x" + string(digits[c>>4]) + string(digits[c&15])
}

func TestParseRefusesWhatAScriptCannotMean(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"a step before the first header":  {"connect a", "before the first statement"},
		"a header without meaning":        {"[MQTT-1.1.1-1]", "want [id] meaning"},
		"neither script nor reason":       {"[X] Y.", "want either steps or one line none"},
		"both script and reason":          {"[X] Y.\nnone: because\nconnect a", "want either steps or one line none"},
		"an unknown action":               {"[X] Y.\njump a", `unknown action "jump"`},
		"an unknown packet":               {"[X] Y.\nconnect a\na> pubfoo", `unknown packet "pubfoo"`},
		"an unknown field":                {"[X] Y.\nconnect a\na> publish topik=x", `publish has no field "topik"`},
		"an unknown field of a pattern":   {"[X] Y.\nconnect a\na< puback qos=1", `puback has no field "qos"`},
		"a connection that is not open":   {"[X] Y.\nconnect a\nb> pingreq", `connection "b" is not open`},
		"a variable without value":        {"[X] Y.\nconnect a\na> puback id=$p", "$p has no value"},
		"an exemption without its reason": {"[X] Y.\nconnect a\na? closed", "want -- reason"},
		"fields of an event without any":  {"[X] Y.\nconnect a\na< nothing code=1", "nothing takes no fields"},
		"a quote without end":             {"[X] Y.\nconnect a\na> publish topic=\"x", "quote without end"},
		"a repetition without a count":    {"[X] Y.\nrepeat connect a", "want repeat N"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := conformance.Parse("test.txt", c.text, packet.V5)
			require.ErrorContains(t, err, c.want)
			require.ErrorContains(t, err, "conformance: test.txt")
		})
	}
}

func TestParseWithoutVersionTakesItFromEachHeader(t *testing.T) {
	list, err := conformance.Parse("t", "[label 3.1.1] Meaning.\nconnect a # comment\n\n# comment\n[label 5.0] Meaning.\nopen a", 0)
	require.NoError(t, err)
	require.Len(t, list, 2)
	require.Equal(t, "3.1.1 fault-label", list[0].Name())
	require.Equal(t, "connect a\n", list[0].Source)
	require.Equal(t, "5.0 fault-label", list[1].Name())
	_, err = conformance.Parse("t", "[label 4.0] Meaning.\nopen a", 0)
	require.ErrorContains(t, err, `version "4.0" is none of`)
}

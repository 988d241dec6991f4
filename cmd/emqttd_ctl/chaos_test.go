// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"emqttd/actors/cast"
	"emqttd/supervisor/broker/brokertest"
	"emqttd/supervisor/cell"
)

func TestFaultsAreArmedAndCleared(t *testing.T) {
	d := newDeskOf(t, brokertest.AllowCrashes, []string{"chaos.enabled=true"})
	out := d.ok("chaos", "add", "at=session/dispatch/decide", "do=panic", "when=every:1", "hits=1")
	require.Regexp(t, `(?m)^fault +: at=session/dispatch/decide do=panic when=every:1 hits=1$`, out)
	require.Regexp(t, `(?m)^1 +at=session/dispatch/decide do=panic .* 0 +0 `, d.ok("chaos", "list"))
	d.join("alice", "room/+")
	d.ok("publish", "room/4", "21.5", "--qos", "1")
	require.Eventually(t, func() bool { return strings.Contains(d.ok("chaos", "hits"), " panic ") }, 10*time.Second, 10*time.Millisecond)
	require.Regexp(t, `(?m) 1 +panic +session/alice +dispatch +decide `, d.ok("chaos", "hits"))

	d.ok("chaos", "add", "at=sm/* do=panic when=every:1000")
	d.ok("chaos", "clear", "1")
	require.NotContains(t, d.ok("chaos", "list"), "session/dispatch")
	require.Contains(t, d.ok("chaos", "list"), "at=sm/*")
	d.ok("chaos", "clear")
	require.NotContains(t, d.ok("chaos", "list"), "at=")

	for _, args := range [][]string{{"add", "at=nowhere do=panic"}, {"add", "do=panic"}, {"clear", "7"}, {"clear", "x"}, {"run", "99"}, {"stop", "7"}} {
		code, _, errs := d.run(append([]string{"chaos"}, args...)...)
		require.Equal(t, exitRefused, code, "%v: %s", args, errs)
	}
}

func TestAnExperimentEndsWithAVerdict(t *testing.T) {
	d := newDeskOf(t, brokertest.AllowCrashes, []string{"chaos.enabled=true"})
	require.Regexp(t, `^PASS  06 .*: seed \d+, \d+ connections, \d+ messages sent, \d+ received, [0-9.]+ s\n$`, d.ok("chaos", "run", "cookbook/06"))
	require.Regexp(t, `(?m)^1 +06 +passed `, d.ok("chaos", "runs"))
	require.Contains(t, d.ok("chaos", "cookbook"), "emqtt torture", "why one cannot be run from here")

	d.ok("chaos", "run", "6", "--seed", "5", "--leave")
	code, _, errs := d.run("chaos", "run", "7")
	require.Equal(t, exitRefused, code)
	require.Contains(t, errs, "one experiment runs at a time")
	d.ok("chaos", "stop", "2")
	require.Eventually(t, func() bool { return !strings.Contains(d.ok("chaos", "runs"), "running") }, 10*time.Second, 10*time.Millisecond)
	require.Contains(t, d.ok("__complete", "chaos", "run", ""), "cookbook/07")
}

func TestVerdictsAreExitCodes(t *testing.T) {
	for state, says := range map[string]string{"failed": "chaos run 07 --seed 3", "void": "proved nothing: no hit", "stopped": "was stopped"} {
		t.Run(state, func(t *testing.T) {
			var out strings.Builder
			c := &ctl{world: &world{out: &out}}
			err := c.report(row{"state": state, "experiment": "07", "seed": json.Number("3"), "error": "no hit",
				"violations": []any{row{"clause": "qos2", "text": "twice"}}, "trace": []any{"a line"}})
			e, ok := errors.AsType[*exit](err)
			require.True(t, ok)
			require.Equal(t, exitRefused, e.code)
			require.Contains(t, e.Error(), says)
			require.Contains(t, out.String(), "  qos2: twice\na line\n")
		})
	}
}

func TestAClosedLabSaysWhatOpensIt(t *testing.T) {
	d := newDesk(t)
	code, _, errs := d.run("chaos", "add", "at=session/* do=panic")
	require.Equal(t, exitNotAllowed, code)
	require.Contains(t, errs, "chaos.enabled: true")
	_, out, errs := d.run("chaos", "list")
	require.Regexp(t, `^ID +FAULT .*\n$`, out)
	require.Contains(t, errs, "chaos.enabled: true")
}

// deadly crashes the session of a client at every message that comes to it.
type deadly struct{ actor string }

// At implements cell.Hook.
func (h deadly) At(c *cell.Cell, p cell.Phase, m cell.Message) {
	if _, ok := m.(*cast.Dispatch); ok && p == cell.Decide && c.Name() == h.actor {
		panic("deadly")
	}
}

func TestDeadLetters(t *testing.T) {
	d := newDeskOf(t, brokertest.AllowCrashes, nil)
	d.join("weak", "room/+")
	cell.SetHook(deadly{"session/weak"})
	for _, text := range []string{"one", "two", "three"} {
		d.ok("publish", "room/4", text, "--qos", "1")
	}
	require.Eventually(t, func() bool { return regexp.MustCompile(`(?m)^weak +3 `).MatchString(d.ok("deadletters", "list")) }, 10*time.Second, 10*time.Millisecond)
	cell.SetHook(nil)
	var letters []struct {
		Serial json.Number `json:"serial"`
		Text   string      `json:"payload_text"`
	}
	require.Regexp(t, `(?m)^\d+ +room/4 +1 +false .* one +deadly `, d.ok("deadletters", "list", "weak"))
	require.NoError(t, json.Unmarshal([]byte(d.ok("deadletters", "list", "weak", "--json")), &letters))
	require.Len(t, letters, 3)
	require.Equal(t, "1 replayed\n", d.ok("deadletters", "replay", "weak", letters[1].Serial.String()))
	require.Equal(t, "2 deleted\n", d.ok("deadletters", "delete", "weak"))
	require.NotContains(t, d.ok("deadletters", "list"), "weak")

	code, _, errs := d.run("deadletters", "delete", "weak", "x")
	require.Equal(t, exitUsage, code)
	require.Contains(t, errs, "a serial is a number")
	code, _, _ = d.run("deadletters", "list", "nobody")
	require.Equal(t, exitRefused, code)
}

func TestTheConfigurationIsReadAnew(t *testing.T) {
	d := newDesk(t)
	d.b.OnReload(func() ([]string, error) { return []string{"node.name"}, nil })
	require.Equal(t, "node.name needs a restart\nok\n", d.ok("config", "reload"))
	require.Equal(t, "{\n  \"need_restart\": [\n    \"node.name\"\n  ]\n}\n", d.ok("config", "reload", "--json"))
	d.b.OnReload(func() ([]string, error) { return nil, errors.New("mqtt.max_qos: 3 is too much") })
	code, _, errs := d.run("config", "reload")
	require.Equal(t, exitRefused, code)
	require.Contains(t, errs, "max_qos")
	code, _, _ = d.run("config", "relaod")
	require.Equal(t, exitUsage, code)
}

func TestASimulationIsTheSameAgain(t *testing.T) {
	offline := &desk{t: t, env: map[string]string{"EMQTTD_CTL_URL": "http://127.0.0.1:1"}}
	out := offline.ok("sim", "--seed", "7", "--events", "60", "--seeds", "2")
	require.Regexp(t, `(?s)^PASS  seed 7, .* hash [0-9a-f]{16}\nPASS  seed 8, .* hash [0-9a-f]{16}\n$`, out)
	require.Equal(t, out, offline.ok("sim", "--seed", "7", "--events", "60", "--seeds", "2"))
	var results []map[string]any
	require.NoError(t, json.Unmarshal([]byte(offline.ok("sim", "--seed", "7", "--events", "60", "--json")), &results))
	require.EqualValues(t, 60, results[0]["steps"])
	code, _, _ := offline.run("sim", "--seeds", "0")
	require.Equal(t, exitUsage, code)
}

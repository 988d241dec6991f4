// SPDX-License-Identifier: Apache-2.0

package cell_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// verdict is what an exploration found: by what is wrong, the shortest way to it.
type verdict struct {
	states int
	wrong  map[string]string
}

// explore visits every state that can be reached, nearest first.
func (r rules) explore() verdict {
	type from struct {
		parent int32
		move   string
	}
	first := state{kills: r.kills, crashes: r.crashes, drops: r.drops}
	seen := map[state]int32{first: 0}
	states, way := []state{first}, []from{{-1, ""}}
	v := verdict{wrong: map[string]string{}}
	for i := int32(0); int(i) < len(states); i++ {
		moves, normal := r.moves(states[i])
		if what := r.wrong(&states[i], normal == 0); what != "" && v.wrong[what] == "" {
			var steps []string
			for j := i; j > 0; j = way[j].parent {
				steps = append(steps, way[j].move)
			}
			slices.Reverse(steps)
			v.wrong[what] = strings.Join(steps, " > ")
		}
		for _, m := range moves {
			if _, ok := seen[m.to]; !ok {
				seen[m.to] = int32(len(states))
				states, way = append(states, m.to), append(way, from{i, m.name})
			}
		}
	}
	v.states = len(states)
	return v
}

// wrong is what the contract excludes; atRest says that only faults can happen.
func (r *rules) wrong(s *state, atRest bool) string {
	for m, n := range s.got {
		switch {
		case n > 1 && !r.qos1:
			return "delivered twice"
		case n > 0 && m > 0 && s.got[m-1] == 0:
			return "delivered out of order"
		case n == 0 && atRest && s.flying == none && s.begun == messages:
			return "lost"
		}
	}
	if atRest && (s.flying != none || s.begun < messages) {
		return "stuck"
	}
	return ""
}

func TestTheRulesOfTheContractHold(t *testing.T) {
	for name, r := range map[string]rules{
		"QoS 2":                     {kills: 2, drops: 2},
		"QoS 2, killed three times": {kills: 3, drops: 1},
		"QoS 1":                     {qos1: true, kills: 1, drops: 1},
	} {
		t.Run(name, func(t *testing.T) {
			v := r.explore()
			t.Logf("%d states", v.states)
			require.Empty(t, v.wrong)
			require.Greater(t, v.states, 1000)
		})
	}
}

// TestWhatLooksAsIfItWouldDoDoesNot: each of the rules is there for a reason, and
// the model would find out.
func TestWhatLooksAsIfItWouldDoDoesNot(t *testing.T) {
	for name, c := range map[string]struct {
		rules rules
		wrong string // one of the things that go wrong
	}{
		"an effect is done, then struck":        {rules{redo: true, crashes: 1}, "delivered twice"},
		"an effect is struck, then done":        {rules{skip: true, crashes: 1}, "stuck"},
		"decide writes to the state":            {rules{dirtyDecide: true, crashes: 1}, "lost"},
		"dispatch before acceptance":            {rules{earlyDispatch: true, kills: 1}, "delivered twice"},
		"PUBREC before the sync":                {rules{earlyAck: true, kills: 1}, "lost"},
		"a repeat answered from memory":         {rules{repeatFromMemory: true, kills: 1, drops: 1}, "lost"},
		"awaiting-rel deleted lazily":           {rules{lazyPubrel: true, kills: 1}, "lost"},
		"PUBREC recorded lazily":                {rules{lazyPubrec: true, kills: 1}, "delivered twice"},
		"fresh packet ids after a restart":      {rules{freshIDs: true, kills: 1}, "delivered twice"},
		"QoS 1, an effect is done, then struck": {rules{qos1: true, redo: true, crashes: 1, kills: 1}, "lost"},
		"QoS 1, an effect is struck, then done": {rules{qos1: true, skip: true, crashes: 1}, "stuck"},
		"QoS 1, PUBACK before the sync":         {rules{qos1: true, earlyAck: true, kills: 1}, "lost"},
	} {
		t.Run(name, func(t *testing.T) {
			v := c.rules.explore()
			for what, way := range v.wrong {
				t.Logf("%d states; %s: %s", v.states, what, way)
			}
			require.Contains(t, v.wrong, c.wrong)
		})
	}
}

// SPDX-License-Identifier: Apache-2.0

package main

import (
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestMemoryIsGivenBackWhenTheBrokerIsCalm(t *testing.T) {
	const mib = 1 << 20
	for _, tt := range []struct {
		name string
		now  usage // five seconds after nothing was allocated
		due  bool
	}{
		{"after a wave", usage{allocated: 0, live: 60 * mib, held: 200 * mib}, true},
		{"half of it is little", usage{live: 10 * mib, held: 10*mib + leastGiven - 1}, false},
		{"just enough", usage{live: 10 * mib, held: 10*mib + leastGiven}, true},
		{"a fifth of what is live", usage{live: 1000 * mib, held: 1200 * mib}, false},
		{"under load", usage{allocated: 500 * mib, live: 60 * mib, held: 200 * mib}, false},
		{"a little traffic", usage{allocated: 20 * mib, live: 60 * mib, held: 200 * mib}, true},
		{"the last collection found more than there is", usage{live: 60 * mib, held: 50 * mib}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := &giver{at: 1}
			require.Equal(t, tt.due, g.due(tt.now, 1+int64(5*time.Second)))
		})
	}
}

var ballast []byte

func TestWhatIsGivenBackIsNotHeldAnyMore(t *testing.T) {
	t.Setenv("GOGC", "")
	g := newGiver(0)
	ballast = make([]byte, 256<<20)
	for i := 0; i < len(ballast); i += 4096 {
		ballast[i] = 1
	}
	runtime.GC()
	require.Greater(t, g.usage().live, uint64(256<<20))
	ballast = nil
	runtime.GC()
	before := g.usage().held
	require.Greater(t, before, uint64(256<<20))
	g.look(int64(time.Hour))
	require.Greater(t, g.usage().held, before-200<<20, "it may be a pause")
	g.look(int64(2 * time.Hour))
	require.Less(t, g.usage().held, before-200<<20)

	t.Setenv("GOGC", "100")
	g = newGiver(0)
	g.release = func() { t.Error("whoever sets GOGC tunes the collector himself") }
	for i := range int64(2 * calmLooks) {
		g.look((i + 1) * int64(time.Hour))
	}
}

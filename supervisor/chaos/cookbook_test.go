// SPDX-License-Identifier: Apache-2.0

package chaos_test

import (
	"bytes"
	"context"
	"net"
	"testing"

	"github.com/stretchr/testify/require"

	"emqttd/supervisor/broker/brokertest"
	"emqttd/supervisor/chaos"
)

// TestCrash runs the cookbook: go test -run Crash/07.
func TestCrash(t *testing.T) {
	for _, e := range chaos.Cookbook {
		if e.Process {
			continue // it needs a broker in a process of its own: TestCrashOfTheProcess
		}
		t.Run(e.Name()+" "+e.Title, func(t *testing.T) {
			b := brokertest.AllowCrashes(t, "runtime.actor_max_crashes=1000000")
			middle := e.Plan.Steps / 2
			e.Plan.Each = func(step int, _ func(chaos.Event)) {
				for _, kind := range e.Stop {
					if step == middle {
						require.NoError(t, b.StopService(kind))
					}
				}
			}
			r, err := e.Run(t.Context(), dial(b), chaos.NewInjector(chaos.Options{}), 0)
			requirePass(t, r)
			require.NoError(t, err)
		})
	}
}

func TestTheCookbookIsInOrderAndItsFaultsCanBeArmed(t *testing.T) {
	in := chaos.NewInjector(chaos.Options{Kill: func() { t.Error("killed") }})
	defer in.ClearAll()
	for i, e := range chaos.Cookbook {
		require.Equal(t, i+1, e.Number)
		require.NotEmpty(t, e.Title+e.Emqttd+e.Ours)
		for _, line := range e.Faults {
			f, err := chaos.Parse(line)
			require.NoError(t, err, e.Name())
			require.Equal(t, line, normal(t, line), e.Name())
			_, err = in.Add(f)
			require.NoError(t, err, e.Name())
		}
		for _, name := range []string{e.Name(), "cookbook/" + e.Name()} {
			got, ok := chaos.Find(name)
			require.True(t, ok)
			require.Equal(t, e.Title, got.Title)
		}
	}
	_, ok := chaos.Find("cookbook/99")
	require.False(t, ok)
}

// normal is a fault as it is written out again.
func normal(t *testing.T, line string) string {
	f, err := chaos.Parse(line)
	require.NoError(t, err)
	return f.String()
}

func TestAnExperimentSaysWhenItWasNone(t *testing.T) {
	b := brokertest.Start(t)
	plan := chaos.Plan{Seed: 1, Steps: 10, Clients: 2, Durable: true}
	in := chaos.NewInjector(chaos.Options{})
	_, err := chaos.Experiment{Number: 1, Faults: []string{"at=nobody/nothing do=panic"}, Hits: 1, Plan: plan}.Run(t.Context(), dial(b), in, 0)
	require.ErrorContains(t, err, "hit 0 times, 1 are needed")
	require.Empty(t, in.List())
	_, err = chaos.Experiment{Faults: []string{"at=a/b do=drop"}, Plan: plan}.Run(t.Context(), dial(b), in, 0)
	require.ErrorIs(t, err, chaos.ErrImpossible)
	_, err = chaos.Experiment{Faults: []string{"nonsense"}, Plan: plan}.Run(t.Context(), dial(b), in, 0)
	require.Error(t, err)
}

func TestChopCutsWhatIsWritten(t *testing.T) {
	here, there := net.Pipe()
	c, err := chaos.Chop(func(context.Context, string) (net.Conn, error) { return here, nil }, 2)(t.Context(), "")
	require.NoError(t, err)
	go func() { _, _ = c.Write([]byte("abcde")); _ = c.Close() }()
	var got [][]byte
	buf := make([]byte, 10)
	for n, err := there.Read(buf); err == nil; n, err = there.Read(buf) {
		got = append(got, bytes.Clone(buf[:n]))
	}
	require.Equal(t, [][]byte{[]byte("ab"), []byte("cd"), []byte("e")}, got)
}

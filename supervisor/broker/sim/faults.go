// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"math/rand/v2"

	"emqttd/supervisor/chaos"
)

// Kills and crashes of one run.
const (
	mostCrashes = 12 // of one fault
	mostKills   = 3
)

// draw chooses what is broken in a run: nothing in one of four, so that what
// interleaving alone can break is not put down to a crash.
func draw(rng *rand.Rand) (faults []chaos.Fault, kills, diskFails int) {
	if rng.IntN(4) == 0 {
		return nil, 0, 0
	}
	phases := []string{"before", "decide", "between"}
	for _, phase := range phases {
		for _, do := range []chaos.Action{chaos.Panic, chaos.Goexit, chaos.Stop, chaos.Delay} {
			if rng.IntN(3) != 0 {
				continue
			}
			f := chaos.Fault{At: place(rng) + "/" + phase, Do: chaos.Do{Action: do}, Hits: mostCrashes}
			if do == chaos.Delay {
				f.Do.For = 1 << (20 + rng.IntN(9)) // 1 ms to 0.3 s
			}
			faults = append(faults, f.Probably(0.002*float64(1+rng.IntN(15)), rng.Uint64()>>1+1))
		}
	}
	if rng.IntN(3) > 0 {
		kills = 1 + rng.IntN(mostKills)
		at := place(rng) + "/" + phases[rng.IntN(3)]
		faults = append(faults, chaos.At(at).Kill().Probably(0.002, rng.Uint64()>>1+1).Times(1))
	}
	if rng.IntN(5) == 0 {
		diskFails = 1
	}
	return faults, kills, diskFails
}

// place is any actor half of the time, else one kind.
func place(rng *rand.Rand) string {
	kinds := []string{"ws_loop", "ws_client", "protocol", "session", "sm", "router", "retainer", "store"}
	if rng.IntN(2) == 0 {
		return "*/*"
	}
	return kinds[rng.IntN(len(kinds))] + "/*"
}

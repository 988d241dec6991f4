// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"emqttd/actors/cast"
	"emqttd/actors/store"
	"emqttd/protocol/message"
	"emqttd/supervisor/broker/config"
	"emqttd/supervisor/chaos"
)

func init() { message.Scribble = true }

// Options choose a run.
type Options struct {
	Seed   uint64
	Events int // steps of the workload; 0: DefaultEvents
}

// DefaultEvents is the length of a short run.
const DefaultEvents = 120

// Result is what became of a run.
type Result struct {
	chaos.Report
	Trace uint64 `json:"hash"`    // of everything that happened: the same for the same Options
	Acts  int    `json:"acts"`    // things that happened
	Hits  int    `json:"crashes"` // that were injected
	Kills int    `json:"kills"`   // of the whole broker
	// Complaints are log lines that no run may cause, such as unexpected messages.
	Complaints []string `json:"complaints,omitempty"`
	Events     int      `json:"steps"`
}

// Pass reports whether nothing is wrong.
func (r *Result) Pass() bool { return r.Report.Pass() && len(r.Complaints) == 0 }

// Write prints the verdict, and for a failure the command that replays it.
func (r *Result) Write(w io.Writer) error {
	err := r.Report.Write(w)
	_, err2 := fmt.Fprintf(w, "  %d acts, %d crashes, %d kills, hash %016x\n", r.Acts, r.Hits, r.Kills, r.Trace)
	if len(r.Complaints) > 0 {
		_, err = fmt.Fprintf(w, "FAIL  the broker's log has what no run may cause:\n  %s\n", strings.Join(r.Complaints, "\n  "))
	}
	if !r.Pass() {
		_, err = fmt.Fprintf(w, "replay: emqttd_ctl sim --seed %d --events %d\n    or: %s\n", r.Seed, r.Events, test(r.Seed, r.Events))
	}
	return errors.Join(err, err2)
}

// test is the test that runs a seed again.
func test(seed uint64, events int) string {
	s := fmt.Sprintf("EMQTTD_SIM_FROM=%d EMQTTD_SIM_SEEDS=1", seed)
	if events != 0 && events != DefaultEvents {
		s += fmt.Sprintf(" EMQTTD_SIM_EVENTS=%d", events)
	}
	return s + " go test -run TestSim ./supervisor/broker/sim"
}

// Run simulates one broker and its clients. Faults are injected through the one
// hook that cells have, so a process runs one simulation at a time, and no other
// broker that is to stay whole.
func Run(o Options) Result {
	if o.Events == 0 {
		o.Events = DefaultEvents
	}
	rng := rand.New(rand.NewPCG(o.Seed, 3))
	watch, cfg := &complaints{}, configure(rng)
	levels := drawLevels(rand.New(rand.NewPCG(o.Seed, 5)), cfg)
	w, err := newWorld(o.Seed, cfg, watch.logger())
	if err != nil {
		panic(err.Error()) // the configuration is ours, and so is the disk
	}
	defer w.close()
	faults, kills, diskFails := draw(rng)
	w.kills, w.diskFails = kills, diskFails
	if len(faults) == 0 && kills == 0 {
		w.ambush.left = 0
	}
	plan := workload(o, rng)
	plan.Odds = w.ambush.busier(plan.Odds)
	for _, f := range faults {
		plan.Slack += f.Do.For // the clock goes on while the broker does not
	}
	plan.Now = w.Now
	plan.Memory = func(client, topic string) bool { return levels.OfTopic(client, "", topic) == cast.Memory }
	plan.Each = func(step int, note func(chaos.Event)) {
		if step > 0 {
			return
		}
		w.note = note
		for _, f := range faults {
			if _, err := w.in.Add(f); err != nil {
				panic("simulation: " + err.Error())
			}
		}
	}
	r := Result{Report: chaos.RunIn(context.Background(), w, plan), Events: o.Events}
	r.Trace, r.Acts, r.Kills, r.Complaints = w.trace.Sum64(), w.acts, w.killsDone, watch.lines
	r.Seed, r.Hits = o.Seed, w.hits
	return r
}

// workload draws what the clients do. A plan has no seed 0.
func workload(o Options, rng *rand.Rand) chaos.Plan {
	p := chaos.Plan{Seed: o.Seed + 1, Steps: o.Events, Clients: 2 + rng.IntN(4), Durable: rng.IntN(2) == 0,
		WillDelay: rng.IntN(3), Window: 1 + rng.IntN(8), Hasty: rng.IntN(2) == 0, Shared: rng.IntN(2) == 0, Slack: 200 * time.Millisecond,
		Prefix: "sim", Odds: odds[rng.IntN(len(odds))]}
	switch rng.IntN(4) {
	case 0:
		p.Odds.Repeat = 30
	case 1:
		p.Odds.Takeover, p.Odds.Return = 30, max(p.Odds.Return, 20)
	}
	if p.Shared && rng.IntN(2) == 0 {
		p.Team, p.Odds.Vanish = true, 8
	}
	return p
}

// odds are kinds of workload.
var odds = []chaos.Odds{
	chaos.DefaultOdds,
	{Publish: 80, Subscribe: 10, Return: 10, Drop: 1},
	{Publish: 20, Drop: 20, Takeover: 10, Leave: 10, Return: 60, Subscribe: 10, Retain: 5},
	{Publish: 30, Subscribe: 5, Takeover: 40, Return: 20, Drop: 5},
	{Publish: 30, Subscribe: 40, Unsubscribe: 10, Return: 10, Drop: 2, Retain: 20},
	{Publish: 30, Repeat: 30, Subscribe: 10, Drop: 5, Leave: 5, Return: 30, Vanish: 5},
	{Publish: 20, Repeat: 5, Leave: 30, Drop: 5, Return: 50, Subscribe: 15, Vanish: 5},
}

// configure draws limits that are met on the way: small windows, small buffers.
func configure(rng *rand.Rand) *config.Config {
	cfg := config.Default()
	cfg.Chaos.Enabled = true
	cfg.Runtime.Loops = 1 + rng.IntN(2)
	cfg.Runtime.Workers = 1
	cfg.Sys.Interval = 0 // the figures are the process's: no seed decides them
	if rng.IntN(2) == 0 {
		cfg.Session.MaxInflight = 1 + rng.IntN(4)
		cfg.Session.QueueWindow = 1 + rng.IntN(4)
	}
	if rng.IntN(3) == 0 {
		cfg.MQTT.OutBufferHigh, cfg.MQTT.OutBufferLow = 64, 16
	}
	cfg.Retained.Batch = 1 + rng.IntN(4)
	return cfg
}

// drawLevels lets one run in three keep in memory what clients of a listener, or
// what rules say. It returns what is certain: a client may choose either listener.
func drawLevels(rng *rand.Rand, cfg *config.Config) *store.Levels {
	out := &store.Levels{}
	if rng.IntN(3) > 0 {
		return out
	}
	for _, text := range []string{"synced client sim-client-0", "memory client sim-client-1", "synced topic sim/live/0", "memory topic sim/live/+", "memory topic sim/kept/#"} {
		if rng.IntN(3) > 0 {
			continue
		}
		var r store.Rule
		if err := r.UnmarshalText([]byte(text)); err != nil {
			panic(err.Error()) // the rules are ours
		}
		out.Rules = append(out.Rules, r)
	}
	cfg.Store.DurabilityRules = out.Rules
	switch rng.IntN(4) {
	case 0:
		cfg.Store.Durability, out.Default = config.DurabilityMemory, cast.Memory
	case 1:
		cfg.Listeners.WS["default"].Durability, out.Default = "memory", cast.Memory
	}
	return out
}

// complaints keeps log lines that are always wrong.
type complaints struct{ lines []string }

// debugging, if set, is given the whole log of the broker.
var debugging io.Writer

func (c *complaints) logger() zerolog.Logger {
	if debugging != nil {
		return zerolog.New(io.MultiWriter(c, debugging))
	}
	return zerolog.New(c).Level(zerolog.WarnLevel)
}

// Write implements io.Writer.
func (c *complaints) Write(line []byte) (int, error) {
	if bytes.Contains(line, []byte("unexpected message")) && len(c.lines) < 10 {
		c.lines = append(c.lines, string(bytes.TrimSpace(line)))
	}
	return len(line), nil
}

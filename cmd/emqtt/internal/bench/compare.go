// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
)

// Comparison is the file of `emqtt bench compare` and `emqtt bench growth`.
type Comparison struct {
	Rounds    int                `yaml:"rounds"`
	Brokers   []ComparedBroker   `yaml:"brokers"`
	Scenarios []ComparedScenario `yaml:"scenarios"`
	Axes      []Axis             `yaml:"axes"`      // more scenarios: one for each value of each
	Arguments string             `yaml:"arguments"` // of every run
}

// ComparedBroker says how to start a broker. In build, command, config and the
// addresses {dir} is a folder of the comparison's own, {data} an empty one for
// this run of the broker, {config} a file with the text of config, {port}, {port2}
// and {port3} are free ports of 127.0.0.1, {self} is this program. Words are
// separated by blanks.
type ComparedBroker struct {
	Name      string        `yaml:"name"`
	Build     string        `yaml:"build"` // once, before the first run
	Command   string        `yaml:"command"`
	Config    string        `yaml:"config"`
	URL       string        `yaml:"url"`
	WS        string        `yaml:"ws"` // for scenarios with transport: ws
	TLS       string        `yaml:"tls"`
	Wait      time.Duration `yaml:"wait"`      // for it to accept connections; 0: 10 s
	Arguments string        `yaml:"arguments"` // of every run against it
	Only      []string      `yaml:"only"`      // names of the scenarios that it can play; none: all
}

// ComparedScenario is one row of the table.
type ComparedScenario struct {
	Name      string `yaml:"name"`
	Run       string `yaml:"run"`       // arguments of emqtt bench
	Transport string `yaml:"transport"` // ws, tls or nothing
}

// The bounds of a comparison.
const (
	maxRounds    = 1000
	maxRows      = 1000
	startPause   = 20 * time.Millisecond
	stopPatience = 10 * time.Second
)

// ParseComparison reads the file. Unknown keys are errors.
func ParseComparison(text []byte) (*Comparison, error) {
	c := &Comparison{}
	if err := yaml.UnmarshalWithOptions(text, c, yaml.Strict()); err != nil {
		return nil, fmt.Errorf("bench: compare: %w", err)
	}
	if c.Rounds == 0 {
		c.Rounds = 5
	}
	for i := range c.Axes {
		if err := c.Axes[i].check(); err != nil {
			return nil, err
		}
		c.Scenarios = append(c.Scenarios, c.Axes[i].scenarios()...)
	}
	if c.Rounds < 0 || c.Rounds > maxRounds || len(c.Brokers) == 0 || len(c.Scenarios) == 0 || len(c.Brokers)*len(c.Scenarios) > maxRows {
		return nil, fmt.Errorf("bench: compare: want 1 to %d rounds, at least one broker and one scenario", maxRounds)
	}
	names := map[string]bool{}
	for i := range c.Brokers {
		b := &c.Brokers[i]
		if b.Name == "" || b.Command == "" || b.URL == "" && b.WS == "" && b.TLS == "" || names[b.Name] {
			return nil, fmt.Errorf("bench: compare: broker %d %q: want a name of its own, a command and an address", i+1, b.Name)
		}
		names[b.Name] = true
		if b.Wait == 0 {
			b.Wait = 10 * time.Second
		}
	}
	for i := range c.Scenarios {
		s := &c.Scenarios[i]
		if s.Name == "" {
			s.Name = s.Run
		}
		words := strings.Fields(s.Run)
		if len(words) == 0 || find(words[0]) == nil {
			return nil, fmt.Errorf("bench: compare: scenario %d %q: run has to begin with one of %s", i+1, s.Name, Names())
		}
		if !slices.Contains([]string{"", "ws", "tls"}, s.Transport) {
			return nil, fmt.Errorf("bench: compare: scenario %d %q: transport is ws, tls or left out", i+1, s.Name)
		}
	}
	return c, nil
}

// address is where to play s, "" if b cannot.
func (b *ComparedBroker) address(s *ComparedScenario) string {
	if len(b.Only) > 0 && !slices.Contains(b.Only, s.Name) {
		return ""
	}
	return map[string]string{"": b.URL, "ws": b.WS, "tls": b.TLS}[s.Transport]
}

// Comparer plays a comparison.
type Comparer struct {
	Self     string    // this program
	Dir      string    // for configurations and programs; exists
	Progress io.Writer // a line per run
	Raw      io.Writer // a line of JSON per run; nil: none
}

// outcome is one run of one broker: Result, with who and when.
type outcome struct {
	Broker string `json:"broker"`
	Row    string `json:"row"` // name of the scenario
	Round  int    `json:"round"`
	*Result
}

// Play starts a fresh broker for every run, so that none inherits memory, sessions
// or files, and takes turns: round by round, scenario by scenario, broker by
// broker, beginning with another one each round. What else the machine does
// then meets all of them.
func (p *Comparer) Play(ctx context.Context, c *Comparison) (*Table, error) {
	for i := range c.Brokers {
		if err := p.build(ctx, &c.Brokers[i]); err != nil {
			return nil, err
		}
	}
	t := &Table{comparison: c}
	for round := range c.Rounds {
		for i := range c.Scenarios {
			for turn := range c.Brokers {
				b, s := &c.Brokers[(round+turn)%len(c.Brokers)], &c.Scenarios[i]
				if b.address(s) == "" {
					continue
				}
				result, err := p.one(ctx, c, b, s)
				if ctx.Err() != nil {
					return t, ctx.Err()
				}
				if err != nil {
					result = &Result{Error: err.Error()}
				}
				o := outcome{Broker: b.Name, Row: s.Name, Round: round + 1, Result: result}
				t.outcomes = append(t.outcomes, o)
				if err := p.report(&o); err != nil {
					return t, err
				}
			}
		}
	}
	return t, nil
}

func (p *Comparer) report(o *outcome) error {
	said := "ok"
	if !o.OK {
		said = "FAULTY " + o.Error
	}
	_, _ = fmt.Fprintf(p.Progress, "round %d  %-24s %-12s %14s/s  %8s s/M  %s\n", o.Round, o.Row, o.Broker, thousands(o.Rate), figure(o.CPU), said)
	if p.Raw == nil {
		return nil
	}
	return json.NewEncoder(p.Raw).Encode(o)
}

func (p *Comparer) build(ctx context.Context, b *ComparedBroker) error {
	words := p.words(b, b.Build, nil)
	if len(words) == 0 {
		return nil
	}
	out, err := exec.CommandContext(ctx, words[0], words[1:]...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("bench: compare: build %s: %w\n%s", b.Name, err, out)
	}
	return nil
}

// one is one run against a broker of its own.
func (p *Comparer) one(ctx context.Context, c *Comparison, b *ComparedBroker, s *ComparedScenario) (*Result, error) {
	ports, err := freePorts(3)
	if err != nil {
		return nil, err
	}
	broker, err := p.start(ctx, b, ports)
	if err != nil {
		return nil, err
	}
	defer broker.stop()
	url := p.expand(b, b.address(s), ports)
	if err := broker.await(ctx, url, b.Wait); err != nil {
		return nil, err
	}
	args := append([]string{"bench"}, strings.Fields(s.Run)...)
	args = append(args, strings.Fields(c.Arguments)...)
	args = append(args, strings.Fields(b.Arguments)...)
	args = append(args, "--json", "--quiet", "--url", url, "--pid", fmt.Sprint(broker.cmd.Process.Pid))
	var out, said bytes.Buffer
	cmd := exec.CommandContext(ctx, p.Self, args...)
	cmd.Stdout, cmd.Stderr = &out, &said
	err = cmd.Run()
	r := &Result{}
	if bad := json.Unmarshal(out.Bytes(), r); bad != nil {
		return nil, errors.Join(err, errors.New(strings.TrimSpace(said.String())))
	}
	if log := broker.said(); !r.OK && log != "" {
		r.Error = strings.TrimSpace(r.Error + " The broker's last words: " + log)
	}
	return r, nil
}

func (p *Comparer) words(b *ComparedBroker, text string, ports []string) []string {
	words := strings.Fields(text)
	for i := range words {
		words[i] = p.expand(b, words[i], ports)
	}
	return words
}

func (p *Comparer) expand(b *ComparedBroker, text string, ports []string) string {
	pairs := []string{"{dir}", p.Dir, "{self}", p.Self, "{config}", p.file(b, ".conf"), "{data}", p.file(b, ".data")}
	for i, port := range ports {
		name := "{port}"
		if i > 0 {
			name = fmt.Sprintf("{port%d}", i+1)
		}
		pairs = append(pairs, name, port)
	}
	return strings.NewReplacer(pairs...).Replace(os.ExpandEnv(text))
}

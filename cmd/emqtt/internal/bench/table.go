// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// Table is what a comparison found.
type Table struct {
	comparison *Comparison
	outcomes   []outcome
}

// quantity is a row of a scenario: how to read it from a result.
type quantity struct {
	name string
	of   func(*Result) float64 // 0: not known
}

var quantities = []quantity{
	{"CPU s per million", func(r *Result) float64 { return r.CPU }},
	{"per second", func(r *Result) float64 { return r.Rate }},
	{"p50 µs", func(r *Result) float64 { return r.Latency.at(func(l *Latency) float64 { return l.P50 }) }},
	{"p99 µs", func(r *Result) float64 { return r.Latency.at(func(l *Latency) float64 { return l.P99 }) }},
	{"p99.9 µs", func(r *Result) float64 { return r.Latency.at(func(l *Latency) float64 { return l.P999 }) }},
	{"generator s per million", func(r *Result) float64 { return r.Own }},
}

func (l *Latency) at(of func(*Latency) float64) float64 {
	if l == nil {
		return 0
	}
	return of(l)
}

// rows are the quantities of a scenario, its extras behind those of all.
func (t *Table) rows(scenario string) []quantity {
	names := map[string]bool{}
	for _, o := range t.outcomes {
		if o.Row == scenario {
			for name := range o.Extra {
				names[name] = true
			}
		}
	}
	list := slices.Clone(quantities)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		list = append(list, quantity{strings.ReplaceAll(name, "_", " "), func(r *Result) float64 { return r.Extra[name] }})
	}
	return list
}

// Markdown writes medians, each with its ratio to the first broker. The ratio
// is the median of the ratios of each round, whose runs met the same machine.
func (t *Table) Markdown(w io.Writer) error {
	var b strings.Builder
	b.WriteString("| scenario | |")
	for _, broker := range t.comparison.Brokers {
		b.WriteString(" " + broker.Name + " |")
	}
	b.WriteString("\n|---|---|" + strings.Repeat("---|", len(t.comparison.Brokers)) + "\n")
	for _, s := range t.comparison.Scenarios {
		name := s.Name
		for _, q := range t.rows(s.Name) {
			if line, ok := t.line(s.Name, q); ok {
				fmt.Fprintf(&b, "| %s | %s |%s\n", name, q.name, line)
				name = ""
			}
		}
	}
	fmt.Fprintf(&b, "\nMedians of %d interleaved rounds; in brackets the median of each round's ratio to %s.\n", t.comparison.Rounds, t.comparison.Brokers[0].Name)
	t.faults(&b)
	_, err := io.WriteString(w, b.String())
	return err
}

// line is one quantity of all brokers; false: nobody has it.
func (t *Table) line(scenario string, q quantity) (line string, known bool) {
	first := t.values(t.comparison.Brokers[0].Name, scenario, q)
	for i, broker := range t.comparison.Brokers {
		values := t.values(broker.Name, scenario, q)
		if len(values) == 0 {
			line += " - |"
			continue
		}
		known = true
		line += " " + figure(median(slices.Collect(maps.Values(values))))
		var ratios []float64
		for round, v := range values {
			if base := first[round]; base > 0 {
				ratios = append(ratios, v/base)
			}
		}
		if i > 0 && len(ratios) > 0 {
			line += " (" + figure(median(ratios)) + "x)"
		}
		line += " |"
	}
	return line, known
}

// values are those of the clean runs, by round.
func (t *Table) values(broker, scenario string, q quantity) map[int]float64 {
	values := map[int]float64{}
	for _, o := range t.outcomes {
		if o.Broker == broker && o.Row == scenario && o.OK {
			if v := q.of(o.Result); v > 0 {
				values[o.Round] = v
			}
		}
	}
	return values
}

// faults lists the runs that the medians leave out.
func (t *Table) faults(b *strings.Builder) {
	var lines []string
	for _, o := range t.outcomes {
		if !o.OK {
			n := &o.Tally
			why := cmp.Or(o.Error, fmt.Sprintf("lost %d, duplicated %d, reordered %d, foreign %d, unacknowledged %d, refused %d",
				n.Lost, n.Duplicated, n.Reordered, n.Foreign, n.Unacked, n.Refused))
			lines = append(lines, fmt.Sprintf("- %s, %s, round %d: %s\n", o.Row, o.Broker, o.Round, why))
		}
	}
	if len(lines) > 0 {
		b.WriteString("\nRuns that were not clean and are not in the medians:\n\n" + strings.Join(lines, ""))
	}
}

func median(v []float64) float64 {
	slices.Sort(v)
	n := len(v)
	if n%2 == 1 {
		return v[n/2]
	}
	return (v[n/2-1] + v[n/2]) / 2
}

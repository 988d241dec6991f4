// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Axis is something that grows, such as the number of filters: a scenario is
// played for each of its values.
type Axis struct {
	Name      string `yaml:"name"`
	Run       string `yaml:"run"` // as of a scenario; {n} stands for the value
	Values    []int  `yaml:"values"`
	Transport string `yaml:"transport"`
}

// scenarios are those of the axis, in the order of its values.
func (a *Axis) scenarios() (out []ComparedScenario) {
	for _, n := range a.Values {
		out = append(out, ComparedScenario{
			Name:      a.Name + " " + thousands(float64(n)),
			Run:       strings.ReplaceAll(a.Run, "{n}", strconv.Itoa(n)),
			Transport: a.Transport,
		})
	}
	return out
}

// check reports what is wrong with an axis: it takes two values to grow.
func (a *Axis) check() error {
	if a.Name == "" || !strings.Contains(a.Run, "{n}") || len(a.Values) < 2 || a.Values[0] < 1 || !slices.IsSorted(a.Values) {
		return fmt.Errorf("bench: axis %q: want a name, a run with {n} in it, and two or more values that grow", a.Name)
	}
	return nil
}

// curve is one quantity of one broker along an axis.
type curve struct {
	broker string
	points []point
}

type point struct {
	n     int
	value float64
}

// grown are the quantities that are looked at along an axis: CPU per message or
// connection, and what memory was measured.
func (t *Table) grown(a *Axis) []quantity {
	extras := map[string]bool{}
	for _, s := range a.scenarios() {
		for _, o := range t.outcomes {
			for name := range o.extras(s.Name) {
				if strings.HasPrefix(name, "bytes_per_") {
					extras[name] = true
				}
			}
		}
	}
	list := quantities[:1:1]
	for _, name := range slices.Sorted(maps.Keys(extras)) {
		list = append(list, quantity{strings.ReplaceAll(name, "_", " "), func(r *Result) float64 { return r.Extra[name] }})
	}
	return list
}

// extras are the extra figures of a clean run of a scenario.
func (o *outcome) extras(scenario string) map[string]float64 {
	if o.Row != scenario || !o.OK {
		return nil
	}
	return o.Extra
}

// curves are the medians of a quantity along an axis, broker by broker.
func (t *Table) curves(a *Axis, q quantity) (out []curve) {
	for _, b := range t.comparison.Brokers {
		c := curve{broker: b.Name}
		for i, s := range a.scenarios() {
			if values := t.values(b.Name, s.Name, q); len(values) > 0 {
				c.points = append(c.points, point{a.Values[i], median(slices.Collect(maps.Values(values)))})
			}
		}
		if len(c.points) > 0 {
			out = append(out, c)
		}
	}
	return out
}

// Growth writes a Markdown table per axis: medians, and in brackets how they have
// grown since the first value.
func (t *Table) Growth(w io.Writer) error {
	var b strings.Builder
	for i := range t.comparison.Axes {
		a := &t.comparison.Axes[i]
		fmt.Fprintf(&b, "### %s: `%s`\n\n| %s |", a.Name, a.Run, a.Name)
		var columns []curve
		for _, q := range t.grown(a) {
			for _, c := range t.curves(a, q) {
				fmt.Fprintf(&b, " %s: %s |", c.broker, q.name)
				columns = append(columns, c)
			}
		}
		b.WriteString("\n|---|" + strings.Repeat("---|", len(columns)) + "\n")
		for _, n := range a.Values {
			fmt.Fprintf(&b, "| %s |", thousands(float64(n)))
			for _, c := range columns {
				b.WriteString(" " + c.at(n) + " |")
			}
			b.WriteString("\n")
		}
		b.WriteString("\n")
	}
	fmt.Fprintf(&b, "Medians of %d interleaved rounds; in brackets how many times the first value's.\n", t.comparison.Rounds)
	t.faults(&b)
	_, err := io.WriteString(w, b.String())
	return err
}

// at is the figure for a value, "-" when there is none.
func (c *curve) at(n int) string {
	for _, p := range c.points {
		if p.n == n {
			return fmt.Sprintf("%s (%sx)", figure(p.value), figure(p.value/c.points[0].value))
		}
	}
	return "-"
}

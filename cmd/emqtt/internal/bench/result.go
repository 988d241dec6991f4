// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Result is what a run found. Times of Latency are microseconds.
type Result struct {
	Scenario    string             `json:"scenario"`
	Target      string             `json:"target"`
	Version     string             `json:"version"`
	QoS         int                `json:"qos"`
	Size        int                `json:"size"`
	Window      int                `json:"window,omitempty"`
	Publishers  int                `json:"publishers,omitempty"`
	Subscribers int                `json:"subscribers,omitempty"`
	Filters     int                `json:"filters,omitempty"`
	Connections int                `json:"connections,omitempty"`
	Seconds     float64            `json:"seconds"` // that were measured
	Unit        string             `json:"unit"`    // of Count: messages (delivered) or connections
	Count       int64              `json:"count"`
	Rate        float64            `json:"rate"`                              // Count per second
	CPU         float64            `json:"cpu_s_per_million,omitempty"`       // the broker's, with --pid
	Share       float64            `json:"cpu_cores,omitempty"`               // the broker's CPU seconds per second
	Own         float64            `json:"generator_s_per_million,omitempty"` // the generator's
	Latency     *Latency           `json:"latency_us,omitempty"`
	Extra       map[string]float64 `json:"extra,omitempty"`
	Tally       Tally              `json:"tally"`
	OK          bool               `json:"ok"` // complete, in order, nothing twice
	Error       string             `json:"error,omitempty"`
}

// Latency is from when a message was due (open loop) or written (closed loop)
// until it was read.
type Latency struct {
	P50  float64 `json:"p50"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p99_9"`
	Max  float64 `json:"max"`
}

func newResult(c *Config, t *target) *Result {
	return &Result{
		Scenario: c.Scenario, Target: t.scheme + "://" + t.hostPort, Version: c.Version.String(), QoS: c.QoS, Size: c.Size,
		Window: c.Window, Publishers: c.Publishers, Subscribers: c.Subscribers, Filters: c.Filters, Connections: c.Connections,
		Unit: "messages",
	}
}

func (r *Result) extra(name string, value float64) {
	if r.Extra == nil {
		r.Extra = make(map[string]float64)
	}
	r.Extra[name] = value
}

// measure is what happened between two marks.
func (r *Result) measure(begin, end mark) {
	r.Seconds = float64(end.at-begin.at) / 1e9
	r.Count = end.count - begin.count
	r.Rate = float64(r.Count) / max(r.Seconds, 1e-9)
	if r.Count > 0 {
		r.CPU = (end.broker - begin.broker).Seconds() * 1e6 / float64(r.Count)
		r.Own = (end.own - begin.own).Seconds() * 1e6 / float64(r.Count)
	}
	r.Share = (end.broker - begin.broker).Seconds() / max(r.Seconds, 1e-9)
}

// finish draws the conclusion.
func (r *Result) finish(run *run, err error) {
	t := &r.Tally
	t.Lost = max(t.Expected-t.Delivered, 0)
	for _, p := range run.pubs {
		t.Unacked += int64(p.ids.n)
	}
	if h := &run.latency; h.total > 0 {
		us := func(q float64) float64 { return float64(h.quantile(q)) / 1e3 }
		r.Latency = &Latency{us(0.5), us(0.99), us(0.999), float64(h.max) / 1e3}
	}
	if err != nil {
		r.Error = err.Error()
	} else if run.broken != nil && t.Dropped > 0 {
		r.Error = run.broken.Error()
	}
	r.OK = r.Error == "" && t.clean()
}

// JSON writes the result as one line.
func (r *Result) JSON(w io.Writer) error { return json.NewEncoder(w).Encode(r) }

// Text writes it for people.
func (r *Result) Text(w io.Writer) error {
	var b strings.Builder
	row := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "  %-22s"+format+"\n", append([]any{name}, args...)...)
	}
	fmt.Fprintf(&b, "%s  %s  MQTT %s  QoS %d  %d B\n", r.Scenario, r.Target, r.Version, r.QoS, r.Size)
	row(r.Unit, "%s in %.2f s", thousands(float64(r.Count)), r.Seconds)
	row("rate", "%s %s/s", thousands(r.Rate), r.Unit)
	if r.Latency != nil {
		row("latency", "p50 %s  p99 %s  p99.9 %s  max %s µs", figure(r.Latency.P50), figure(r.Latency.P99), figure(r.Latency.P999), figure(r.Latency.Max))
	}
	if r.CPU > 0 {
		row("broker CPU", "%s s per million %s (%.2f cores)", figure(r.CPU), r.Unit, r.Share)
	}
	if r.Own > 0 {
		row("generator CPU", "%s s per million", figure(r.Own))
	}
	for _, name := range slices.Sorted(maps.Keys(r.Extra)) {
		row(strings.ReplaceAll(name, "_", " "), "%s", thousands(r.Extra[name]))
	}
	t := &r.Tally
	if t.Expected > 0 {
		row("deliveries", "%s of %s", thousands(float64(t.Delivered)), thousands(float64(t.Expected)))
	}
	verdict := "nothing lost, doubled or reordered"
	if !r.OK {
		verdict = fmt.Sprintf("FAULTY: lost %d, duplicated %d, reordered %d, foreign %d, unacknowledged %d, refused %d, dropped connections %d",
			t.Lost, t.Duplicated, t.Reordered, t.Foreign, t.Unacked, t.Refused, t.Dropped)
	}
	row("verdict", "%s", verdict)
	if r.Error != "" {
		row("error", "%s", r.Error)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// figure writes a number with three digits that count.
func figure(v float64) string {
	switch {
	case v >= 1000:
		return thousands(v)
	case v >= 100:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case v >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	case v >= 1:
		return strconv.FormatFloat(v, 'f', 2, 64)
	}
	return strconv.FormatFloat(v, 'f', 3, 64)
}

// thousands writes a number with commas; small ones keep a fraction.
func thousands(v float64) string {
	if v < 100 && v > -100 && v != float64(int64(v)) {
		return strconv.FormatFloat(v, 'f', 2, 64)
	}
	s := strconv.FormatFloat(v, 'f', 0, 64)
	sign := ""
	if s[0] == '-' {
		sign, s = "-", s[1:]
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return sign + s
}

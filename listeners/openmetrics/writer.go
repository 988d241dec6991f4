// SPDX-License-Identifier: Apache-2.0

package openmetrics

import (
	runtimemetrics "runtime/metrics"

	"github.com/prometheus/client_golang/prometheus"

	"emqttd/actors/metrics"
)

type runtimeSample = runtimemetrics.Sample

func readRuntime(samples []runtimeSample) { runtimemetrics.Read(samples) }

// writer makes samples. Labels are given as name, value, name, value.
type writer struct {
	ch chan<- prometheus.Metric
}

func (w *writer) gauge(name, help string, value float64, labels ...string) {
	w.sample(prometheus.GaugeValue, name, help, value, labels)
}

func (w *writer) counter(name, help string, value int64, labels ...string) {
	w.sample(prometheus.CounterValue, name, help, float64(value), labels)
}

func (w *writer) sample(t prometheus.ValueType, name, help string, value float64, labels []string) {
	desc, values := describe(name, help, labels)
	w.ch <- prometheus.MustNewConstMetric(desc, t, value, values...)
}

func (w *writer) durations(name, help string, h *metrics.Durations, labels ...string) {
	w.distribution(name, help, h.Distribution(), labels)
}

func (w *writer) distribution(name, help string, d metrics.Distribution, labels []string) {
	desc, values := describe(name, help, labels)
	w.ch <- prometheus.MustNewConstHistogram(desc, d.Count, d.Sum, d.Buckets, values...)
}

func describe(name, help string, labels []string) (*prometheus.Desc, []string) {
	names, values := make([]string, 0, len(labels)/2), make([]string, 0, len(labels)/2)
	for i := 0; i+1 < len(labels); i += 2 {
		names, values = append(names, labels[i]), append(values, labels[i+1])
	}
	return prometheus.NewDesc(name, help, names, nil), values
}

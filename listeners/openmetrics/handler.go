// SPDX-License-Identifier: Apache-2.0

package openmetrics

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// maxScrapes is how many requests are answered at once; what is more gets 503.
const maxScrapes = 4

// NewGatherer makes what a scrape of s consists of, the go_ and process_ metrics
// of the process included.
func NewGatherer(s Sources) prometheus.Gatherer {
	r := prometheus.NewRegistry()
	r.MustRegister(newCollector(s), collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return r
}

// Handler answers GET /metrics: the text format of Prometheus, or OpenMetrics for
// those who ask for it. It checks nobody's right to read.
func Handler(g prometheus.Gatherer) http.Handler {
	return promhttp.HandlerFor(g, promhttp.HandlerOpts{EnableOpenMetrics: true, MaxRequestsInFlight: maxScrapes})
}

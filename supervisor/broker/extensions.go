// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"net/http"

	"emqttd/listeners/api"
	"emqttd/listeners/dashboard"
	"emqttd/listeners/observe"
	"emqttd/listeners/openmetrics"
)

// extensions are the routes that other packages bring to the API, one line each.
func (b *Broker) extensions() (all []api.Extension) {
	all = append(all, b.lab.Load().Extension(), b.deadLetters())
	if b.cfg.Dashboard.Microscope.Enabled {
		b.scope = b.newMicroscope()
		all = append(all, b.scope.Extension())
	}
	return append(all, observe.Traces(b.env.Trace), observe.Watch(b.env.Alarms, b.env.Slow, b.env.Topics),
		observe.Profile(b.cfg.Dashboard.MaxProfile))
}

// page is what the dashboard shows at /.
func (b *Broker) page() http.Handler { return dashboard.Handler() }

// exposition is what /metrics answers.
func (b *Broker) exposition() http.Handler {
	return openmetrics.Handler(openmetrics.NewGatherer(b.Sources()))
}

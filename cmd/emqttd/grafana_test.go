// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"emqttd/actors/metrics"
	"emqttd/listeners/openmetrics"
	"emqttd/protocol/packet"
	"emqttd/supervisor/broker/brokertest"
)

// TestTheGrafanaDashboardKnowsOnlyMetricsThatThereAre holds each name in the
// dashboard to what a broker exposes.
func TestTheGrafanaDashboardKnowsOnlyMetricsThatThereAre(t *testing.T) {
	text, err := os.ReadFile("grafana.json")
	require.NoError(t, err)
	var d struct {
		Panels []struct {
			Title   string
			GridPos struct{ X, Y, W, H int }
			Targets []struct{ Expr string }
		}
	}
	require.NoError(t, json.Unmarshal(text, &d))
	require.NotEmpty(t, d.Panels)

	b := brokertest.Start(t)
	b.Metrics().Faults[packet.FaultTopicName].Add(1) // appear with their first occurrence
	b.Metrics().Refused[packet.Banned].Add(1)
	b.Metrics().Connections.Add(1)
	b.Metrics().Dropped[metrics.DropNoSubscriber].Add(1)
	families, err := openmetrics.NewGatherer(b.Sources()).Gather()
	require.NoError(t, err)
	there := map[string]bool{}
	for _, f := range families {
		there[f.GetName()] = true
	}
	names := regexp.MustCompile(`\b(emqttd|go|process)_[a-z0-9_]+`)
	for i, p := range d.Panels {
		require.NotEmpty(t, p.Targets, p.Title)
		for _, target := range p.Targets {
			found := names.FindAllString(target.Expr, -1)
			require.NotEmpty(t, found, target.Expr)
			for _, name := range found {
				for _, suffix := range []string{"_bucket", "_count", "_sum"} {
					if !there[name] {
						name = strings.TrimSuffix(name, suffix)
					}
				}
				require.True(t, there[name], "%s: there is no metric %s", p.Title, name)
			}
		}
		for _, o := range d.Panels[:i] { // no panel lies on another
			apart := p.GridPos.X >= o.GridPos.X+o.GridPos.W || o.GridPos.X >= p.GridPos.X+p.GridPos.W ||
				p.GridPos.Y >= o.GridPos.Y+o.GridPos.H || o.GridPos.Y >= p.GridPos.Y+p.GridPos.H
			require.True(t, apart, "%s and %s", p.Title, o.Title)
		}
	}
}

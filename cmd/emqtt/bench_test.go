// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"emqttd/supervisor/broker/brokertest"
)

func TestBench(t *testing.T) {
	b := brokertest.Start(t)
	url := "mqtt://" + b.TCP()
	host, port, err := net.SplitHostPort(b.TCP())
	require.NoError(t, err)

	t.Run("a clean run ends with 0 and says so", func(t *testing.T) {
		got := emqtt(t, "", "bench", "p2p", "--url", url, "--qos", "1", "--messages", "500", "--version", "5", "--quiet")
		require.Zero(t, got.code, got.err)
		require.Empty(t, got.err)
		require.Contains(t, got.out, "p2p  "+url+"  MQTT 5.0  QoS 1  64 B\n")
		require.Contains(t, got.out, "nothing lost, doubled or reordered")
		require.Contains(t, got.out, "500 of 500")
	})
	t.Run("JSON is one object", func(t *testing.T) {
		got := emqtt(t, "", "bench", "fanout", "--url", url, "--subscribers", "5", "--messages", "100", "--json", "--quiet")
		require.Zero(t, got.code, got.err)
		var r struct {
			OK    bool
			Tally struct{ Sent, Delivered int }
		}
		require.NoError(t, json.Unmarshal([]byte(got.out), &r), got.out)
		require.True(t, r.OK)
		require.Equal(t, 100, r.Tally.Sent)
		require.Equal(t, 500, r.Tally.Delivered)
	})
	t.Run("a filter that is refused ends with 1", func(t *testing.T) {
		none := brokertest.Start(t, "mqtt.shared_subscriptions=false")
		got := emqtt(t, "", "bench", "shared", "--url", "mqtt://"+none.TCP(), "--messages", "10", "--version", "5", "--quiet")
		require.Equal(t, 1, got.code)
		require.Contains(t, got.err, "0x9e")
	})
	t.Run("emqtt_bench's flags", func(t *testing.T) {
		for _, kind := range [][]string{
			{"conn", "-c", "3", "-n", "10", "-k", "60", "-C=false"},
			{"pub", "-c", "3", "-t", "a/%i", "-I", "10", "-s", "100", "-q", "1", "-r", "-L", "100000", "-F", "5"},
		} {
			args := append([]string{"bench"}, kind...)
			got := emqtt(t, "", append(args, "-h", host, "-p", port, "-i", "1", "-V", "5", "-u", "me", "-P", "pw", "--duration", "200ms")...)
			require.Zero(t, got.code, got.err)
			require.Contains(t, got.out, kind[0]+" connected=3 failed=0")
		}
	})
}

func TestBenchRefuses(t *testing.T) {
	ours := filepath.Join(t.TempDir(), "c.yaml")
	require.NoError(t, os.WriteFile(ours, []byte("brokers: []"), 0o600))
	for _, c := range []struct {
		name string
		args []string
		want string
	}{
		{"another machine", []string{"p2p", "--url", "mqtt://192.0.2.1"}, "--i-own-this-target"},
		{"another machine, emqtt_bench's way", []string{"conn", "-h", "192.0.2.1"}, "--i-own-this-target"},
		{"an unknown scenario", []string{"fly"}, "there are p2p, fanout"},
		{"no scenario", nil, "1 arg"},
		{"an unknown version", []string{"p2p", "--version", "6"}, "none of"},
		{"an unknown version, emqtt_bench's way", []string{"sub", "-V", "6", "-t", "t"}, "none of"},
		{"a topic that is missing", []string{"pub"}, "--topic"},
		{"a process that is not there", []string{"p2p", "--pid", "999999999"}, "--pid"},
		{"a relay that others can reach", []string{"relay", "--listen", "0.0.0.0:0"}, "loopback"},
		{"a journal that others can reach", []string{"journal", "--listen", "0.0.0.0:0", "--dir", t.TempDir()}, "loopback"},
		{"a comparison that is not there", []string{"compare", "/nonexistent"}, "no such file"},
		{"a comparison of nothing", []string{"compare", ours}, "at least one broker"},
		{"a growth that is not there", []string{"growth", "/nonexistent"}, "no such file"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := emqtt(t, "", append([]string{"bench"}, c.args...)...)
			require.Equal(t, 1, got.code)
			require.Contains(t, got.err, c.want)
		})
	}
}

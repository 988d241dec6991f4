// SPDX-License-Identifier: Apache-2.0

package config_test

import (
	"fmt"

	"emqttd/supervisor/broker/config"
)

// Every mistake is reported at once, with its place and what to write.
func ExampleLoad() {
	_, _, err := config.Load(config.Sources{
		Env:  []string{"EMQTTD_MQTT__CONNECT_TIMEOUT=10"},
		Sets: []string{"log.levle=debug", "listeners.tcp.default.bind=1883"},
	})
	fmt.Println(err)
	// Output:
	// configuration: 3 mistakes
	//   EMQTTD_MQTT__CONNECT_TIMEOUT: mqtt.connect_timeout: a duration needs a unit, for example 10s
	//   --set log.levle: unknown key; did you mean log.level?
	//   --set listeners.tcp.default.bind: expected an address and a port: write 127.0.0.1:1883 for this machine only, 0.0.0.0:1883 for every address
}

// What differs between two configurations, and what of it a running broker can
// take over.
func ExampleDiff() {
	before := config.Default()
	after, _, _ := config.Load(config.Sources{Sets: []string{"log.level=debug", "runtime.loops=2"}})
	reloadable, needRestart := config.Diff(before, after)
	fmt.Println(reloadable, needRestart)
	// Output: [log.level] [runtime.loops]
}

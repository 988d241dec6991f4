// SPDX-License-Identifier: Apache-2.0

// Package config is the broker's configuration: one YAML file, the environment
// and --set, checked as a whole before anything starts. It is emqttd's
// etc/emqttd.config and vm.args in one, with defaults that listen on loopback
// only.
//
// Start at Config, whose fields are the file's keys, then Load. The comments of
// those fields are what --print-config prints; there is no second text to keep
// in step. A key is a dotted path, as in listeners.tcp.default.bind; from low
// to high its value comes from Default, the file, EMQTTD_SECTION__KEY and
// --set section.key=value, and Origins remembers which it was.
//
// No actor lives here and nothing is kept: Load makes a *Config that nobody
// changes, a reload loads another one, and Diff says which keys differ and
// whether they can change in a running broker. A configuration with mistakes is
// not applied in part: every mistake is reported, with its line, in one error.
package config

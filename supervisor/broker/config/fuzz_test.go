// SPDX-License-Identifier: Apache-2.0

package config

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzLoad holds the loader to three things whatever it is given: it does not
// panic, it answers with a configuration or with mistakes and never both, and
// what it accepts prints to a file that loads to the same configuration.
func FuzzLoad(f *testing.F) {
	f.Add("# limits\nmqtt:\n  max_packet_size: 64KiB # small\n  rate: {messages: 10}\n\nsys:\n  interval: 5s\n", "log.level=debug", "LOG__LEVEL=warn")
	f.Add("listeners: {tcp: {lan: {bind: '0.0.0.0:1883', access: [allow 10.0.0.0/8]}}}", "auth.allow_anonymous=true", "MQTT__RATE={bytes: 1MB}")
	f.Add("auth:\n  chain:\n  - {type: builtin}\n  users: {a: \"b \\\" \\\\ c\"}\n", "auth.chain=[{type: builtin}]", "BAN__ENTRIES=[{ip: ::1}]")
	f.Add("ban: {entries: [{client_id: |-\n  x, until: 2027-01-31T12:00:00Z}]}", "=", "__=")
	f.Fuzz(func(t *testing.T, file, set, env string) {
		c, o, err := loadText(file, Sources{Sets: []string{set}, Env: []string{envPrefix + env}})
		if err != nil {
			require.Nil(t, c)
			require.Nil(t, o)
			lines := mistakes(t, err)
			require.NotEmpty(t, lines)
			require.LessOrEqual(t, len(lines), maxProblems)
			return
		}
		for _, origins := range []*Origins{nil, o} {
			var b bytes.Buffer
			require.NoError(t, c.Print(&b, PrintOptions{Origins: origins, Secrets: true}))
			again, _, err := loadText(b.String(), Sources{})
			require.NoError(t, err, b.String())
			require.Equal(t, c, again)
		}
		reloadable, restart := Diff(c, c)
		require.Empty(t, reloadable)
		require.Empty(t, restart)
	})
}

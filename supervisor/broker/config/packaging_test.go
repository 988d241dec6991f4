// SPDX-License-Identifier: Apache-2.0

package config

import (
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// packaged reads a file of the program's folder.
func packaged(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile("../../../cmd/emqttd/" + name)
	require.NoError(t, err)
	return string(text)
}

func TestTheImageLeavesWhoMayConnectToWhoeverRunsIt(t *testing.T) {
	dockerfile := packaged(t, "Dockerfile")
	found := regexp.MustCompile(`(?s)<<YAML \S+\n(.*?)\nYAML\n`).FindStringSubmatch(dockerfile)
	require.NotNil(t, found)

	c, _, err := loadText(found[1], Sources{Env: []string{"EMQTTD_AUTH__ALLOW_ANONYMOUS=true"}})
	require.NoError(t, err)
	for _, l := range c.Listeners.Active() {
		require.False(t, l.Bind.Loopback(), "nobody reaches the loopback of a container")
		require.Regexp(t, `(?m)^EXPOSE .*\b`+l.Bind.Target()[len("0.0.0.0:"):]+`\b`, dockerfile)
	}
	require.Contains(t, c.StatusURLs(), "http://127.0.0.1:8083/status", "for the health check")
	require.Contains(t, dockerfile, "VOLUME "+c.Node.DataDir+"\n")

	_, _, err = loadText(found[1], Sources{})
	require.Len(t, mistakes(t, err), 2)
	require.ErrorContains(t, err, "nothing says who may connect")
}

func TestTheUnitWaitsForAnOrderlyStop(t *testing.T) {
	unit := packaged(t, "emqttd.service")
	stop := regexp.MustCompile(`(?m)^TimeoutStopSec=(\d+s)$`).FindStringSubmatch(unit)
	require.NotNil(t, stop)
	wait, err := time.ParseDuration(stop[1])
	require.NoError(t, err)
	require.Greater(t, wait, Default().Runtime.ShutdownTimeout)
	require.False(t, strings.HasPrefix(Default().Node.DataDir, "/"), "the unit's working directory holds the data")
}

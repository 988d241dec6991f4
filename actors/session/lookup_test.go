// SPDX-License-Identifier: Apache-2.0

package session_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"emqttd/supervisor/stagetest"
)

// A SUBSCRIBE that repeats one asks for the retained messages anew
// [v3.1.1 MQTT-3.8.4-3, v5 MQTT-3.8.4-4], also for one that came live meanwhile.
func TestARepeatedSubscribeIsGivenWhatCameLiveBeforeIt(t *testing.T) {
	d := newDesk(t, stagetest.New(t))
	e := d.open(nil)
	d.subscribe(e, filter("t", 0))
	e.answered()
	d.publish(retained(0, "t", "kept"))
	require.Equal(t, []string{"q0 #0 kept"}, e.sent())
	d.subscribe(e, filter("t", 0))
	require.Equal(t, []string{"q0 #0 kept retained"}, e.sent())
}

// SPDX-License-Identifier: Apache-2.0

package session_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"emqttd/protocol/packet"
	"emqttd/supervisor/stagetest"
)

// One SUBSCRIBE to many filters is given the retained messages of each, and none
// of a filter that it takes back meanwhile.
func TestASubscribeToManyFiltersIsGivenWhatEachRetains(t *testing.T) {
	d := newDesk(t, stagetest.New(t))
	d.limits.MaxSubscriptions = 1000
	e := d.open(nil)
	var all []packet.Subscription
	for i := range 300 { // more than one Route, and more than one Match
		all = append(all, filter(fmt.Sprintf("t/%03d/+", i), 0))
	}
	for _, name := range []string{"t/005/a", "t/005/b", "t/170/a", "t/299/a", "elsewhere"} {
		d.publish(retained(0, name, name))
	}
	d.subscribe(e, all...)
	require.Equal(t, []string{"SUBACK [" + strings.TrimSpace(strings.Repeat("success ", 300)) + "]"}, e.answered())
	require.ElementsMatch(t, []string{"q0 #0 t/005/a retained", "q0 #0 t/005/b retained", "q0 #0 t/170/a retained", "q0 #0 t/299/a retained"}, e.sent())
	require.EqualValues(t, 300, d.pub.Table.Subscriptions())
	d.publish(msg(0, "t/299/b", "live"))
	require.Equal(t, []string{"q0 #0 live"}, e.sent())
}

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

// What there was no room to retain is no lookup's to find: it comes live.
func TestWhatIsNotRetainedAfterAllComesLive(t *testing.T) {
	d := newDesk(t, stagetest.New(t))
	d.limits.RetainedCount = 1
	d.publish(retained(0, "r/1", "kept"))
	e := d.open(nil)
	d.subscribe(e, filter("r/+", 0))
	require.Equal(t, []string{"q0 #0 kept retained"}, e.sent())
	d.publish(retained(0, "r/2", "no room"))
	require.Equal(t, []string{"q0 #0 no room"}, e.sent())
}

// A client that is gone before its SUBACK is given what is retained when it is
// back: the SUBSCRIBE may have replaced one whose SUBACK it has.
func TestWhatIsRetainedIsOwedToASubscribeWhoseClientIsGone(t *testing.T) {
	d := newDesk(t, stagetest.New(t))
	e := d.open(kept)
	d.publish(retained(1, "t", "kept"))
	d.engine.hold = true
	d.subscribe(e, filter("t", 1))
	d.detach(e, false)
	d.engine.hold = false
	d.sync()
	require.Equal(t, []string{"q1 #1 kept retained"}, d.attach(kept).sent())
}

// SPDX-License-Identifier: Apache-2.0

package session_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"emqttd/protocol/packet"
	"emqttd/supervisor/stagetest"
)

// cutBacklog lets messages wait, durably, and says what there was at each step of
// their delivery.
func cutBacklog(t *testing.T, messages, window int, qos packet.QoS) (*desk, []moment) {
	d := newDesk(t, stagetest.New(t))
	d.limits.QueueWindow, d.limits.MaxQueued = window, 20
	c, hears := d.open(kept), newEar()
	d.subscribe(c, filter("t", qos))
	d.detach(c, false)
	d.numbered(qos, 0, messages)
	stored := len(d.engine.commits)
	c = d.attach(one)
	hears.listen(c)
	all := []moment{d.moment(hears)}
	for hears.answer(d, c) {
		all = append(all, d.moment(hears))
	}
	for i := range all {
		all[i].durable = max(all[i].durable, stored)
	}
	return d, all
}

// What waited in the store is delivered although the process was killed at any
// moment of its delivery, with any part of what was not durable lost: QoS 2 once,
// QoS 1 again with DUP only.
func TestABacklogOutlivesTheProcess(t *testing.T) {
	const messages = 7
	for qos := packet.QoS1; qos <= packet.QoS2; qos++ {
		for _, window := range []int{1, 2, 3, 100} {
			t.Run(fmt.Sprintf("QoS %d, a window of %d", qos, window), func(t *testing.T) {
				d, moments := cutBacklog(t, messages, window, qos)
				require.Greater(t, len(moments), messages)
				for i, m := range moments {
					last := m.commits
					if i+1 < len(moments) { // the next step's, before anything of it has left
						last = max(last, moments[i+1].durable)
					}
					for n := m.durable; n <= last; n++ {
						again, heard := goOn(t, d.engine.commits[:n], m.ear)
						what := fmt.Sprintf("step %d, %d of %d commits durable", i, n, last)
						require.Len(t, heard.got, messages, what)
						for text, times := range heard.got {
							if qos == packet.QoS2 {
								require.Equal(t, 1, times, "%s: %s", what, text)
							}
							require.LessOrEqual(t, heard.first[text], 1, "%s: %s, without DUP", what, text)
						}
						require.Empty(t, again.owed(), what)
						require.Zero(t, again.env.Metrics.QueuedBytes.Load(), what)
					}
				}
			})
		}
	}
}

// SPDX-License-Identifier: Apache-2.0

package retainer_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"emqttd/actors/cast"
	"emqttd/protocol/message"
)

func TestSweep(t *testing.T) {
	d := newDesk(t, &cast.Limits{RetainedExpiry: time.Hour})
	now := d.clock.now.Load()
	put := func(name string, at, expiry int64) {
		d.index.Put(&message.Message{Topic: name, Payload: []byte("x"), At: at, Expiry: expiry})
	}
	for i := range 2500 { // more than the sweeper sees in one step
		put(fmt.Sprintf("mortal/%d", i), now, now+int64(time.Minute))
	}
	put("old", now-int64(2*time.Hour), 0)
	put("kept", now, 0)
	require.Equal(t, 2502, d.index.Len())
	step := func() {
		d.clock.now.Add(int64(time.Second))
		d.g.Tick()
		d.drain()
	}
	for range 4 {
		step()
	}
	require.Equal(t, 2501, d.index.Len(), "retained.expiry forgets what no one asks for")
	put("mortal/7", now, 0) // a newer one has taken its place
	d.clock.now.Add(int64(time.Minute))
	for range 8 {
		step()
	}
	require.Equal(t, 2, d.index.Len(), "message expiry does, too")
	require.NotNil(t, d.index.Get("kept"))
	require.NotNil(t, d.index.Get("mortal/7"))
	want := int64(d.index.Get("kept").Size() + d.index.Get("mortal/7").Size())
	require.Equal(t, want, d.index.Bytes())
}

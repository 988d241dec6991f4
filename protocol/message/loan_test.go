// SPDX-License-Identifier: Apache-2.0

package message_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"emqttd/protocol/message"
	"emqttd/protocol/packet"
)

// scribbles has what is had back written over, until the test's end.
func scribbles(t *testing.T) {
	t.Cleanup(func(was bool) func() { return func() { message.Scribble = was } }(message.Scribble))
	message.Scribble = true
}

func publish(payload string) *packet.Publish {
	return &packet.Publish{Topic: []byte("t"), Payload: []byte(payload)}
}

func TestALoanHoldsMessagesOfAnySizeInAnyNumber(t *testing.T) {
	for _, size := range []int{0, 1, 64, 1024, 2048, 2049, 70_000} {
		l := message.Borrow()
		l.Hold()
		var all []*message.Message
		for i := range 1000 {
			p := publish(strings.Repeat(string(rune('a'+i%26)), size))
			all = append(all, l.FromPublish(p, "t", "from", int64(i)))
			clear(p.Payload) // the read buffer is used again
		}
		for i, m := range all {
			want := message.Message{Topic: "t", From: "from", At: int64(i)}
			if size > 0 {
				want.Payload = bytes.Repeat([]byte{byte('a' + i%26)}, size)
			}
			require.Equal(t, want, *m, "message %d of %d bytes", i, size)
		}
		l.Drop()
	}
}

func TestWhatIsHadBackIsUsedAgainAndWhatWasCopiedStays(t *testing.T) {
	scribbles(t)
	l := message.Borrow()
	l.Hold() // a fan-out
	m := l.FromPublish(publish("payload"), "t", "from", 7)
	m.QoS, m.Retain, m.Expiry, m.ID = packet.QoS2, true, 9, message.ID{Seq: 4} // nobody does; the next must have none of it
	c := m.Copy()
	l.Hold() // its Dispatch
	l.Drop()
	require.Equal(t, "payload", string(m.Payload), "the Dispatch has it")
	l.Drop()
	require.Equal(t, "had back", string(m.Payload))
	require.Equal(t, message.Message{ID: message.ID{Seq: 4}, From: "from", Topic: "t", Payload: []byte("payload"), QoS: packet.QoS2,
		Retain: true, At: 7, Expiry: 9}, *c)

	for range 100 { // it is pooled: whichever comes is as good as new
		l := message.Borrow()
		l.Hold()
		require.Equal(t, message.Message{Topic: "u", From: "other", At: 8}, *l.FromPublish(publish(""), "u", "other", 8))
		l.Drop()
	}
}

func TestALoanThatNobodyHoldsGoesBackByItself(t *testing.T) {
	scribbles(t)
	l := message.Borrow()
	m := l.FromPublish(publish("payload"), "t", "from", 7)
	l.Hold()
	l.Unused()
	require.Equal(t, "payload", string(m.Payload), "somebody holds it")
	l.Drop()
	l = message.Borrow()
	m = l.FromPublish(publish("payload"), "t", "from", 7)
	l.Unused()
	require.Equal(t, "had back", string(m.Payload))
}

func TestListsOfALoanDoNotOverlap(t *testing.T) {
	l := message.Borrow()
	l.Hold()
	var lists [][]*message.Message
	for i := range 200 {
		list := l.List(1 + i%40)
		for k := range 50 { // some grow beyond what they asked for
			list = append(list, &message.Message{Topic: fmt.Sprint(i, k)})
		}
		lists = append(lists, list)
	}
	for i, list := range lists {
		for k, m := range list {
			require.Equal(t, fmt.Sprint(i, k), m.Topic)
		}
	}
	l.Drop()
}

func BenchmarkMessage(b *testing.B) {
	for size, read := range map[int]int{8: 2000, 64: 100, 1024: 100} {
		p := publish(strings.Repeat("x", size))
		b.Run(fmt.Sprintf("slab/size=%d", size), func(b *testing.B) {
			var s message.Slab
			for b.Loop() {
				for range read {
					s.FromPublish(p, "t", "from", 1)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*read), "ns/msg")
		})
		b.Run(fmt.Sprintf("loan/size=%d", size), func(b *testing.B) {
			for b.Loop() {
				l := message.Borrow()
				l.Hold()
				for range read {
					l.FromPublish(p, "t", "from", 1)
				}
				l.Drop()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*read), "ns/msg")
		})
	}
}

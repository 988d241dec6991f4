// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"emqttd/protocol/packet"
)

// verbs are what the lines of a story begin with.
var verbs = map[string]EventKind{
	"open": Opened, "ok": Accepted, "refuse": Refused, "bye": Disconnecting, "close": Closed,
	"pub": Published, "ack": Answered, "get": Received, "sub": Subscribing, "suback": Subscribed,
	"unsub": Unsubscribing, "unsuback": Unsubscribed, "kick": Kicked, "blame": Blamed,
	"restart": Restarted, "settle": Settled, "broken": Broken,
}

// story makes a history of a text: one event a line, its verb, the client and
// the number of its connection, what it is about. A millisecond passes with each
// line, more with "wait".
//
//	open a1 clean will=9,w,q1,3   // message 9 on w, QoS 1, delay 3 s; "memory" as in Event
//	ok a1 present
//	sub a1 r1 t/# q1
//	pub a1 m1 t/x q1 retain
//	get b2 m1 t/x q1 dup
func story(t testing.TB, text string) []Event {
	t.Helper()
	var out []Event
	at := int64(time.Hour)
	for line := range strings.SplitSeq(text, "\n") {
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		at += int64(time.Millisecond)
		if words[0] == "wait" {
			d, err := time.ParseDuration(words[1])
			require.NoError(t, err)
			at += int64(d)
			continue
		}
		e := Event{At: at, Kind: verbs[words[0]]}
		require.NotEmpty(t, e.Kind, line)
		if len(words) > 1 {
			e.Client = strings.TrimRight(words[1], "0123456789")
			e.Conn = int(number(t, "0"+words[1][len(e.Client):]))
			for _, w := range words[2:] {
				tell(t, &e, w)
			}
		}
		if len(e.Filters) > 0 {
			e.Filters[0].QoS, e.QoS = e.QoS, 0
		}
		out = append(out, e)
	}
	return out
}

func tell(t testing.TB, e *Event, w string) {
	key, value, _ := strings.Cut(w, "=")
	switch {
	case w == "clean":
		e.Clean = true
	case w == "memory":
		e.Memory = true
	case w == "present":
		e.Present = true
	case w == "retain":
		e.Retain = true
	case w == "dup":
		e.Dup = true
	case w == "empty":
		e.Empty = true
	case w == "client" || w == "server":
		e.By = Side(w)
	case w == "never":
		e.Expiry = Never
	case key == "expiry":
		e.Expiry, e.HasExpiry = uint32(number(t, value)), e.Kind != Opened
	case key == "rh":
		e.Filters[0].RetainHandling = uint8(number(t, value))
	case key == "will":
		p := strings.Split(value, ",")
		e.Will = &Will{Msg: number(t, p[0]), Topic: p[1], QoS: packet.QoS(p[2][1] - '0')}
		if len(p) > 3 {
			e.Will.Delay = uint32(number(t, p[3]))
		}
	case strings.HasPrefix(w, "0x"):
		c := packet.ReasonCode(number(t, w))
		if e.Kind == Subscribed {
			e.Codes = append(e.Codes, c)
		} else {
			e.Code = c
		}
	case numbered(w, 'm'):
		e.Msg = number(t, w[1:])
	case numbered(w, 'r'):
		e.Request = int(number(t, w[1:]))
	case numbered(w, 'q'):
		e.QoS = packet.QoS(number(t, w[1:]))
	case e.Kind == Subscribing || e.Kind == Unsubscribing:
		e.Filters = []packet.Subscription{{Filter: w}}
	case e.Kind == Broken:
		e.Text = w
	default:
		e.Topic = w
	}
}

func numbered(w string, letter byte) bool {
	return len(w) > 1 && w[0] == letter && strings.Trim(w[1:], "0123456789") == ""
}

func number(t testing.TB, s string) uint64 {
	n, err := strconv.ParseUint(s, 0, 64)
	require.NoError(t, err)
	return n
}

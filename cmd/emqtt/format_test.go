// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"emqttd/protocol/client"
	"emqttd/protocol/packet"
)

// rich is a message with everything; the wanted texts below are what
// mosquitto_sub 2.0.11 prints.
func rich() *client.Message {
	p := new(packet.Properties)
	p.Set(packet.PropContentType).ContentType = "text/p"
	p.Set(packet.PropCorrelationData).CorrelationData = []byte("cd")
	p.Set(packet.PropResponseTopic).ResponseTopic = "re/x"
	p.Set(packet.PropMessageExpiry).MessageExpiry = 1000
	p.Set(packet.PropPayloadFormat).PayloadFormat = 1
	p.User = []packet.UserProperty{{Key: "k1", Value: "v1"}, {Key: `k"2`, Value: "v2"}}
	p.SubscriptionIDs = []uint32{7}
	return &client.Message{Topic: "r/5", Payload: []byte("h\u00e9llo\"\\\t"), QoS: 2, Retain: true, ID: 1, Properties: p}
}

func TestFormat(t *testing.T) {
	plain := &client.Message{Topic: "r/1", Payload: []byte("hello")}
	empty := &client.Message{Topic: "e"}
	for _, c := range []struct {
		m            *client.Message
		format, want string
	}{
		{plain, `%%|%A|%C|%D|%E|%F|%l|%m|%P|%p|%q|%R|%r|%S|%t|%x|%X|\\|\t|@@|`, "%||||||5|0||hello|0||0||r/1|68656c6c6f|68656C6C6F|\\|\t|@|"},
		{rich(), `%A|%C|%D|%E|%F|%l|%m|%P|%q|%R|%r|%S|%x`, `|text/p|cd|1000|1|9|1|k1:v1 k"2:v2|2|re/x|1|7|68c3a96c6c6f225c09`},
		{plain, `[%10t][%-10t][%2.2t][%.2t][%-10.2t]`, "[       r/1][r/1       ][r/][r/][r/        ]"},
		{plain, `[%010l][%10l][%-10l][%20p][%-20p][%020t]`, "[0000000005][         5][5         ][               hello][hello               ][                 r/1]"},
		{plain, `[%012x][%12X][%-12X]`, "[0068656c6c6f][  68656C6C6F][68656C6C6F  ]"},
		{rich(), `%5S|%05S|%-5S|%5A|%05A|%10C|%-10C|%.3C|%8R|%-8.1R`, "    7|00007|7    |     |00000|    text/p|text/p    |tex|    re/x|r       "},
		{plain, `%I %U`, "2026-11-21T09:05:07+0100 1795248307.123456789"},
		{plain, `@Y-@m-@d @H:@M:@S.@N @z|@a @A @b @B|@c|@D|@e|@F|@j|@k|@l|@p|@P|@r|@R|@T|@u|@w|@V|@U|@W|@g|@G|@C|@y|@s|@Z|@Q`,
			"2026-11-21 09:05:07.123456789 +0100|Sat Saturday Nov November|Sat Nov 21 09:05:07 2026|11/21/26|21|2026-11-21|325| 9| 9|AM|am|09:05:07 AM|09:05|09:05:07|6|6|47|46|46|26|2026|20|26|1795248307|CET|%Q"},
		{plain, `\0\a\e\n\r\v%5.3q`, "\x00\a\x1b\n\r\v0"},
		{plain, `%j`, `{"tst":"2026-11-21T09:05:07.123456Z+0100","topic":"r/1","qos":0,"retain":0,"payloadlen":5,"payload":"hello"}`},
		{empty, `%j%J`, `{"tst":"2026-11-21T09:05:07.123456Z+0100","topic":"e","qos":0,"retain":0,"payloadlen":0,"payload":null}{"tst":"2026-11-21T09:05:07.123456Z+0100","topic":"e","qos":0,"retain":0,"payloadlen":0,"payload":null}`},
		{rich(), `%j`, `{"tst":"2026-11-21T09:05:07.123456Z+0100","topic":"r/5","qos":2,"retain":1,"payloadlen":9,"mid":1,"properties":{"subscription-identifier":7,"payload-format-indicator":1,"message-expiry-interval":1000,"content-type":"text/p","response-topic":"re/x","correlation-data":"cd","user-properties":{"k1":"v1","k\"2":"v2"}},"payload":"h` + "\u00e9" + `llo\"\\\t"}`},
	} {
		t.Run(c.format, func(t *testing.T) {
			f, err := parseFormat(c.format)
			require.NoError(t, err)
			w := formatted{m: c.m, at: clock}
			require.Equal(t, c.want, string(w.append(nil, f)))
		})
	}

	t.Run("hours of the morning and the evening", func(t *testing.T) {
		for hour, want := range map[int]string{0: "12 AM 12", 11: "11 AM 11", 12: "12 PM 12", 23: "11 PM 11"} {
			at := time.Date(2026, 1, 4, hour, 0, 0, 0, time.UTC) // a Sunday
			f, err := parseFormat("@I @p @l")
			require.NoError(t, err)
			w := formatted{m: plain, at: at}
			require.Equal(t, want, string(w.append(nil, f)))
		}
	})

	t.Run("a width has a bound", func(t *testing.T) {
		_, err := parseFormat("%99999999999999999999t")
		require.ErrorContains(t, err, "Field width")
	})
}

func TestJSONPayload(t *testing.T) {
	render := func(payload string, pretty bool) (string, bool) {
		b, ok := messageJSON(nil, &client.Message{Topic: "t", Payload: []byte(payload)}, clock, true, pretty)
		if !ok {
			return "", false
		}
		_, after, _ := strings.Cut(string(b), `"payload":`)
		return after, true
	}
	for _, c := range []struct{ in, want string }{
		{`{"a": 1,"b":[1,2.50]}`, `{"a":1,"b":[1,2.5]}}`},
		{`{"a":{},"b":[],"c":[{"x":1},[1,[]]],"h":null,"i":true,"j":false} `, `{"a":{},"b":[],"c":[{"x":1},[1,[]]],"h":null,"i":true,"j":false}}`},
		{`[1e30, 123456789012, 0.1, -0.0, 1.00000000000000005, 3.141592653589793]`, `[1e+30,123456789012,0.1,-0,1,3.1415926535897931]}`},
		{`"a\u00e9\/\u0001\"\b\f\n\r\t"`, `"a` + "\u00e9" + `/\u0001\"\b\f\n\r\t"}`},
		{`5`, `5}`},
		{`{"a":{"b":{"c":"d"},"e":"f"},"g":"h"}`, `{"a":{"b":{"c":"d"},"e":"f"},"g":"h"}}`},
	} {
		got, ok := render(c.in, false)
		require.True(t, ok)
		require.Equal(t, c.want, got)
	}
	for _, bad := range []string{"hello", `{"a":1`, `{} {}`, strings.Repeat("[", 20_000), `{a:1}`} {
		_, ok := render(bad, false)
		require.False(t, ok)
	}
	got, ok := render(`{"a":{},"b":[],"c":[{"x":1,"y":2},[1,[]]]}`, true)
	require.True(t, ok)
	require.Equal(t, "\t{\n\t\t\"a\":\t{\n\t\t},\n\t\t\"b\":\t[],\n\t\t\"c\":\t[{\n\t\t\t\t\"x\":\t1,\n\t\t\t\t\"y\":\t2\n\t\t\t}, [1, []]]\n\t}\n}", got)
}

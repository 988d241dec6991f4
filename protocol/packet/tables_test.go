// SPDX-License-Identifier: Apache-2.0

package packet_test

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"emqttd/protocol/packet"
)

// table 2-4 of the standard, packet by packet: which properties it may carry
// [v5 2.2.2.2].
var propertiesOf = map[packet.Type][]packet.Property{
	packet.WillPlace:   {0x01, 0x02, 0x03, 0x08, 0x09, 0x18, 0x26},
	packet.CONNECT:     {0x11, 0x15, 0x16, 0x17, 0x19, 0x21, 0x22, 0x26, 0x27},
	packet.CONNACK:     {0x11, 0x12, 0x13, 0x15, 0x16, 0x1A, 0x1C, 0x1F, 0x21, 0x22, 0x24, 0x25, 0x26, 0x27, 0x28, 0x29, 0x2A},
	packet.PUBLISH:     {0x01, 0x02, 0x03, 0x08, 0x09, 0x0B, 0x23, 0x26},
	packet.PUBACK:      {0x1F, 0x26},
	packet.PUBREC:      {0x1F, 0x26},
	packet.PUBREL:      {0x1F, 0x26},
	packet.PUBCOMP:     {0x1F, 0x26},
	packet.SUBSCRIBE:   {0x0B, 0x26},
	packet.SUBACK:      {0x1F, 0x26},
	packet.UNSUBSCRIBE: {0x26},
	packet.UNSUBACK:    {0x1F, 0x26},
	packet.PINGREQ:     {},
	packet.PINGRESP:    {},
	packet.DISCONNECT:  {0x11, 0x1C, 0x1F, 0x26},
	packet.AUTH:        {0x15, 0x16, 0x1F, 0x26},
}

func TestProperty_places_are_those_of_the_standard(t *testing.T) {
	require.Len(t, propertiesOf, 16)
	for place, want := range propertiesOf {
		var got []packet.Property
		for id := range packet.Property(255) {
			if info := id.Info(); info != nil && info.In(place) {
				got = append(got, id)
			}
		}
		require.ElementsMatch(t, want, got, place)
	}
}

func TestProperty_every_row_has_a_field_of_its_kind(t *testing.T) {
	n := 0
	for id := range packet.Property(255) {
		info := id.Info()
		if info == nil {
			require.Equal(t, "unknown property", id.String())
			continue
		}
		n++
		p := new(packet.Properties)
		fields := map[packet.Kind]bool{
			packet.KindByte:   p.Byte(id) != nil,
			packet.KindUint16: p.Uint16(id) != nil,
			packet.KindUint32: p.Uint32(id) != nil,
			packet.KindText:   p.Text(id) != nil,
			packet.KindBinary: p.Binary(id) != nil,
		}
		for kind, has := range fields {
			require.Equal(t, kind == info.Kind, has, "%v, kind %d", id, kind)
		}
		require.LessOrEqual(t, info.Min, info.Max)
		require.Equal(t, info.Name, id.String())
	}
	require.Equal(t, 27, n, "the standard defines 27 properties")
}

func TestProperties_IDs_are_ascending_and_those_present(t *testing.T) {
	p := &packet.Properties{User: []packet.UserProperty{{Key: "a"}, {Key: "b"}}, SubscriptionIDs: []uint32{1, 2}}
	p.Set(packet.PropSharedAvailable).Set(packet.PropPayloadFormat).Set(packet.PropTopicAlias)
	var got []packet.Property
	for id := range p.IDs() {
		require.True(t, p.Has(id))
		got = append(got, id)
	}
	require.Equal(t, []packet.Property{0x01, 0x0B, 0x23, 0x26, 0x2A}, got)
	for range (*packet.Properties)(nil).IDs() {
		t.Fatal("nil has no properties")
	}
	require.True(t, (*packet.Properties)(nil).Empty())
	p.Clear(packet.PropTopicAlias)
	require.False(t, p.Has(packet.PropTopicAlias))
}

// The codes of each packet, as its section lists them [v5 2.4].
var reasonsOf = map[packet.Type]string{
	packet.CONNACK:    "00 80 81 82 83 84 85 86 87 88 89 8a 8c 90 95 97 99 9a 9b 9c 9d 9f",
	packet.PUBACK:     "00 10 80 83 87 90 91 97 99",
	packet.PUBREC:     "00 10 80 83 87 90 91 97 99",
	packet.PUBREL:     "00 92",
	packet.PUBCOMP:    "00 92",
	packet.SUBACK:     "00 01 02 80 83 87 8f 91 97 9e a1 a2",
	packet.UNSUBACK:   "00 11 80 83 87 8f 91",
	packet.DISCONNECT: "00 04 80 81 82 83 87 89 8b 8c 8d 8e 8f 90 93 94 95 96 97 98 99 9a 9b 9c 9d 9e 9f a0 a1 a2",
	packet.AUTH:       "00 18 19",
}

func TestReasonCode_packets_are_those_of_the_standard(t *testing.T) {
	for typ := packet.RESERVED; typ <= packet.AUTH; typ++ {
		var got []string
		for c := range 256 {
			code := packet.ReasonCode(c)
			if code.ValidIn(typ) {
				got = append(got, fmt.Sprintf("%02x", c))
				require.NotContains(t, code.String(), "0x", "has a name")
				require.Equal(t, code, code.For(typ))
			} else if _, carries := reasonsOf[typ]; carries && typ != packet.AUTH {
				require.True(t, code.For(typ).ValidIn(typ))
				require.True(t, code.For(typ).Failed())
			}
		}
		require.Equal(t, reasonsOf[typ], strings.Join(got, " "), typ)
	}
}

func TestReasonCode_return_codes_of_3_1_1_go_both_ways(t *testing.T) {
	for b := range uint8(6) {
		require.Equal(t, b, packet.FromReturnCode(b).ReturnCode())
	}
	require.True(t, packet.FromReturnCode(6).Failed())
}

func TestFault_rows_are_whole(t *testing.T) {
	labels := map[string]packet.Fault{}
	for f, info := range packet.Faults {
		require.Regexp(t, `^[a-z0-9]+(_[a-z0-9]+)*$`, info.Label)
		require.NotContains(t, labels, info.Label)
		labels[info.Label] = f
		require.True(t, info.Code.Failed(), info.Label)
		require.Regexp(t, `^\[v.*\]$`, info.Clause)
		require.NotEmpty(t, info.Hint)
		require.Equal(t, info.Label, f.Label())
		require.Equal(t, info.Code, f.Code())
		require.ErrorContains(t, f, info.Hint)
	}
	require.NotContains(t, labels, packet.FaultNone.Label())
}

func TestValidText(t *testing.T) {
	for _, c := range []struct {
		name string
		text string
		want bool
	}{
		{"nothing", "", true},
		{"seven bytes", "sensors", true},
		{"eight bytes", "sensors/", true},
		{"nine bytes", "sensors/1", true},
		{"the last ASCII character", "\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f", true},
		{"a control character", "\x01", true},
		{"two bytes across a word", "sensorsé", true},
		{"four bytes", "😀", true},
		{"a byte order mark", "\ufeff", true},
		{"a non-character", "\uffff", true},
		{"U+0000 alone", "\x00", false},
		{"U+0000 in the first word", "abc\x00defgh", false},
		{"U+0000 behind a word", "abcdefgh\x00", false},
		{"U+0000 behind text", "éabcdefgh\x00", false},
		{"a continuation byte alone", "abcdefg\x80", false},
		{"a character cut off", "abcdefg\xc3", false},
		{"an overlong slash", "\xc0\xaf", false},
		{"an overlong U+0000", "\xc0\x80", false},
		{"the first surrogate", "\xed\xa0\x80", false},
		{"the last surrogate", "\xed\xbf\xbf", false},
		{"beyond U+10FFFF", "\xf4\x90\x80\x80", false},
		{"0xff", "\xff", false},
	} {
		t.Run(c.name, func(t *testing.T) { require.Equal(t, c.want, packet.ValidText([]byte(c.text))) })
	}
}

// Every byte at every place in and behind a word.
func TestValidText_sees_every_place(t *testing.T) {
	for n := 1; n <= 20; n++ {
		for at := range n {
			for c := range 256 {
				b := []byte(strings.Repeat("a", n))
				b[at] = byte(c)
				require.Equal(t, utf8.Valid(b) && c != 0, packet.ValidText(b), "%q", b)
			}
		}
	}
}

func FuzzValidText(f *testing.F) {
	f.Add([]byte("sensors/room/42"))
	f.Add([]byte("sensors/\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		require.Equal(t, utf8.Valid(b) && !strings.Contains(string(b), "\x00"), packet.ValidText(b))
	})
}

func BenchmarkValidText(b *testing.B) {
	topic := []byte("sensors/building-7/room/42/temperature")
	b.SetBytes(int64(len(topic)))
	for b.Loop() {
		if !packet.ValidText(topic) {
			b.Fatal("not text")
		}
	}
}

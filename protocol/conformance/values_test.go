// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"encoding/hex"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"emqttd/protocol/packet"
)

func TestRawBytesComputesTheLengthsThatScriptsLeaveOut(t *testing.T) {
	v := vars{"t": "a/b", "p": "258"}
	for spec, want := range map[string]string{
		`c0 00`:                           "c0 00",
		`30 len s"$t" "x"`:                "30 06 0003 612f62 78",
		`30 len s"$t" ( 0b 01 ) "x"`:      "30 09 0003 612f62 02 0b01 78",
		`10 len ( ( 01 ) 02 )`:            "10 04 03 01 01 02",
		`40 03 u16:$p 01`:                 "40 03 0102 01",
		`82 len 0001 s"hex:61ff" 00`:      "82 07 0001 0002 61ff 00",
		`30 len fill:128`:                 "30 8001 " + strings.Repeat("78", 128),
		`s"a b\x00\"c"`:                   "0006 6120 6200 2263",
		`n"ab" 00`:                        "02 6162 00",
		`30 len s"Straße"`:                "30 09 0007 53747261c39f65",
		`e0 len`:                          "e0 00",
		`30 ( )`:                          "30 00",
		`30 80 80 80 80 01`:               "30 80808080 01",
		`fill:3`:                          "787878",
		`s"fill:2"`:                       "0002 7878",
		`( 26 s"k" s"v" ) ( 1f s"oops" )`: "07 26 00016b 000176 07 1f 0004 6f6f7073",
	} {
		b, err := rawBytes(spec, v)
		require.NoError(t, err, spec)
		require.Equal(t, strings.ReplaceAll(want, " ", ""), hex.EncodeToString(b), spec)
	}
	for spec, want := range map[string]string{
		`30 ( 01`:         "left open",
		`30 len 01 )`:     "not open",
		`3`:               "odd length",
		`zz`:              "invalid byte",
		`x"ab"`:           "unknown prefix",
		`"ab`:             "bad text",
		`fill:99999999`:   "no count",
		`( ( ( ( ( ( ( (`: "nest deeper",
	} {
		_, err := rawBytes(spec, v)
		require.ErrorContains(t, err, want, spec)
	}
}

func TestVariables(t *testing.T) {
	v := vars{"id": "abc", "t": "x/y", "receive-maximum": "20", "p": "7"}
	for text, want := range map[string]string{
		"$id":                     "abc",
		"${id}b":                  "abcb",
		"$t/1":                    "x/y/1",
		"$share/$id/$t":           "$share/abc/x/y",
		"$SYS/$t":                 "$SYS/x/y",
		"$(receive-maximum+1)":    "21",
		"$(p-1)":                  "6",
		"fill:$receive-maximum":   "fill:20",
		"$unknown stays":          "$unknown stays",
		"price: 5$ and $5":        "price: 5$ and $5",
		"$queue/$t ${p}$p $(p+0)": "$queue/x/y 77 7",
	} {
		require.Equal(t, want, v.expand(text))
	}
	require.Equal(t, []string{"id", "t", "p", "receive-maximum"}, variables("$share/$id/$t ${p} $(receive-maximum+1) $SYS/# $queue/x"))
}

func TestPatterns(t *testing.T) {
	pub := received{
		pkt: &packet.Publish{QoS: 1, ID: 10, Topic: []byte("t/a"), Payload: []byte("hello"),
			Properties: (&packet.Properties{MessageExpiry: 99, SubscriptionIDs: []uint32{7, 3},
				User: []packet.UserProperty{{Key: "k", Value: "v"}, {Key: "a", Value: ""}}}).Set(packet.PropMessageExpiry)},
		frame: []byte{0x32, 0x05, 1, 2, 3, 4, 5},
	}
	for pattern, want := range map[string]bool{
		"topic=$t/a":                   true,
		"topic=$t":                     false,
		"topic=other|$t/a":             true,
		"topic=$t/a|":                  true,
		"qos=1 dup=0 retain=0 id=0x0a": true,
		"id=10..12":                    true,
		"id=11..12":                    false,
		"id=<=9":                       false,
		"id=>=10":                      true,
		"id=!10":                       false,
		"id=!9|11":                     true,
		"id=!9|10":                     false,
		"message-expiry=90..99":        true,
		"message-expiry=-":             false,
		"content-type=-":               true,
		"content-type=text":            false,
		"content-type=-|text":          true,
		"content-type=!text":           true,
		"message-expiry=-|99":          true,
		"subscription-id=3,7":          true,
		"subscription-id=7,3":          false,
		"subscription-id=3":            false,
		"user=k:v,a:":                  true,
		"user=a:,k:v":                  false,
		"payload=hello size=7":         true,
		"payload=hex:68656c6c6f":       true,
		"payload=":                     false,
		"hex=3205*":                    true,
		"hex=3.0.0102030405":           true,
		"hex=3205":                     false,
		"hex=32050102030405..":         false,
	} {
		fields, err := splitFields(pattern)
		require.NoError(t, err)
		ok, why := matchPacket(pub, event{"publish", fields}, vars{"t": "t"})
		require.Equal(t, want, ok, "%s: %s", pattern, why)
	}
}

func TestACaptureIsKeptOnlyWhenTheWholePatternMatches(t *testing.T) {
	ack := received{pkt: &packet.Ack{Kind: packet.PUBACK, ID: 5}, frame: []byte{0x40, 2, 0, 5}}
	v := vars{}
	ok, _ := matchPacket(ack, event{"puback", []field{{"id", "?p"}, {"code", "0x80"}}}, v)
	require.False(t, ok)
	require.Empty(t, v)
	ok, _ = matchPacket(ack, event{"puback", []field{{"id", "?p"}, {"code", "0"}}}, v)
	require.True(t, ok)
	require.Equal(t, vars{"p": "5"}, v)
}

// TestScramFinalGivesTheProofOfTheStandardsExample is the exchange of RFC 7677 3.
func TestScramFinalGivesTheProofOfTheStandardsExample(t *testing.T) {
	v := vars{scramUser: "user", scramPassword: "pencil", "id": "rOprNGfwEbeRWgbNEkqO",
		"c": "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"}
	first, err := v.bytes("scram-first")
	require.NoError(t, err)
	require.Equal(t, "n,,n=user,r=rOprNGfwEbeRWgbNEkqO", string(first))
	final, err := v.bytes("scram-final:$c")
	require.NoError(t, err)
	require.Equal(t, "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=", string(final))
	for _, challenge := range []string{"r=x,s=?,i=1", "r=x,s=,i=0", "r=x,s=,i=99999999"} {
		_, err := v.scramFinal(challenge)
		require.Error(t, err, challenge)
	}
}

func TestEveryPropertyOfTheTableIsSetAndReadUnderItsName(t *testing.T) {
	for name, prop := range properties {
		var p *packet.Properties
		require.NoError(t, setProperty(&p, name, "1", vars{}), name)
		require.True(t, p.Has(prop.id), name)
		value, ok := propertyText(p, name)
		require.True(t, ok, name)
		require.Equal(t, "1", value, name)
	}
	var p *packet.Properties
	require.Error(t, setProperty(&p, "receive-maximum", "65536", vars{}))
	require.Error(t, setProperty(&p, "payload-format", "text", vars{}))
}

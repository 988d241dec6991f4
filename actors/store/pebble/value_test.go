// SPDX-License-Identifier: Apache-2.0

package pebble

import (
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"emqttd/actors/store"
	"emqttd/protocol/message"
	"emqttd/protocol/packet"
)

// everything has every property that can be stored.
func everything() *packet.Properties {
	p := new(packet.Properties)
	for id := packet.Property(1); id < 64; id++ {
		if v := p.Byte(id); v != nil {
			*v = uint8(id)
			p.Set(id)
		} else if v := p.Uint16(id); v != nil {
			*v = math.MaxUint16
			p.Set(id)
		} else if v := p.Uint32(id); v != nil {
			*v = math.MaxUint32 - uint32(id)
			p.Set(id)
		} else if v := p.Text(id); v != nil {
			*v = "é"
			p.Set(id)
		} else if v := p.Binary(id); v != nil {
			*v = []byte{0, 0xFF}
			p.Set(id)
		}
	}
	p.User = []packet.UserProperty{{Key: "b", Value: "1"}, {Key: "", Value: ""}, {Key: "b", Value: "2"}}
	p.SubscriptionIDs = []uint32{1, 268_435_455}
	return p
}

func messages() map[string]*message.Message {
	return map[string]*message.Message{
		"nothing": {},
		"least":   {ID: message.ID{Seq: 1}, Topic: "/", QoS: 1},
		"most": {ID: message.ID{Shard: math.MaxUint16, Seq: math.MaxUint64}, From: "publisher", Topic: "a/é", Payload: []byte{0, 1, 255}, QoS: 2,
			Retain: true, Properties: everything(), At: math.MinInt64, Expiry: math.MaxInt64},
	}
}

func TestAMessageIsReadAsItWasWritten(t *testing.T) {
	for name, m := range messages() {
		t.Run(name, func(t *testing.T) {
			for _, topic := range []bool{true, false} {
				b := appendMessage(nil, m, topic)
				d := decoder{b: b, names: new(names)}
				got := d.message(m.Topic)
				require.False(t, d.bad)
				require.Equal(t, m, got)
				d = decoder{b: b}
				require.Equal(t, m.Expiry, d.deadline())
			}
		})
	}
}

func TestAMessageThatIsCutBeforeItsPayloadIsBad(t *testing.T) {
	m := *messages()["most"]
	m.Payload = nil
	b := appendMessage(nil, &m, true)
	for n := range b {
		d := decoder{b: b[:n]}
		require.Nil(t, d.message(""), "cut at %d of %d", n, len(b))
		require.True(t, d.bad)
	}
}

func records() map[string]store.Record {
	return map[string]store.Record{
		"nothing": {},
		"most": {ClientID: "c", Username: "u", Epoch: math.MaxUint64, Version: packet.V5, Expiry: math.MaxUint32, Disconnected: math.MaxInt64,
			Will: messages()["most"], WillDelay: math.MaxUint32},
		"a will that is empty": {ClientID: "c", Will: &message.Message{Topic: "w"}},
	}
}

func TestARecordIsReadAsItWasWritten(t *testing.T) {
	for name, r := range records() {
		t.Run(name, func(t *testing.T) {
			d := decoder{b: appendRecord(nil, &r)}
			require.Equal(t, r, d.record())
			require.False(t, d.bad)
		})
	}
}

func TestAFilterIsReadAsItWasWritten(t *testing.T) {
	for options := range 1 << 5 {
		f := store.Filter{Text: "t/#", QoS: packet.QoS(options % 3), NoLocal: options&1 != 0, AsPub: options&2 != 0,
			RetainHandling: uint8(options % 3), SubID: uint32(options * 10_000_000)}
		if options&4 != 0 {
			f.Owed = &store.Owed{Start: math.MaxUint64 >> options, After: strings.Repeat("t/", options)}
		}
		d := decoder{b: appendFilter(nil, &f)}
		require.Equal(t, f, d.filter("t/#"))
		require.False(t, d.bad)
	}
}

func TestAFlightIsReadAsItWasWritten(t *testing.T) {
	for _, m := range []*message.Message{nil, messages()["most"]} {
		for bits := range 1 << 3 {
			f := flight{seq: math.MaxUint64, order: math.MaxUint64, phase: store.Phase(bits & 1), retain: bits&2 != 0, qos: packet.QoS(bits >> 1 % 3)}
			d := decoder{b: appendFlight(nil, &f, m)}
			got, own := d.flight()
			require.Equal(t, f, got)
			require.Equal(t, m != nil, own)
			if own {
				require.Equal(t, m, d.message(""))
			}
			require.False(t, d.bad)
		}
	}
}

func TestAHoldSaysWhereItsMessageLiesAndWhenItExpires(t *testing.T) {
	own := appendMessage([]byte{holdOwn}, &message.Message{Expiry: 7}, true)
	require.EqualValues(t, 7, deadlineOfHold(own))
	require.EqualValues(t, 7, deadlineOfHold(appendSharedHold(nil, 7)))
	require.Zero(t, deadlineOfHold(appendSharedHold(nil, 0)))
	d := decoder{b: appendSharedHold(nil, 0)}
	shared, _, _ := d.hold()
	require.True(t, shared)
	for _, b := range [][]byte{nil, {0}, {5}, {holdShared, 0}, {holdSharedExpires}, append(appendSharedHold(nil, 7), 0)} {
		d := decoder{b: b}
		d.hold()
		require.True(t, d.bad, "% x", b)
	}
}

func TestKeysSortAsTheyCountAndComeApart(t *testing.T) {
	var last string
	for _, key := range []string{
		string(appendSessionKey(nil, 1, kindRecord)), string(appendFilterKey(nil, 1, "")), string(appendFilterKey(nil, 1, "\xff\xff")),
		string(appendIDKey(nil, 1, kindFlight, 255)), string(appendIDKey(nil, 1, kindFlight, 256)),
		string(appendIDKey(nil, 1, kindAwait, 1)), string(appendHoldKey(nil, 1, 255)), string(appendHoldKey(nil, 1, 256)),
		string(appendDeadKey(nil, 1, 255)), string(appendDeadKey(nil, 1, 256)),
		string(appendSessionEnd(nil, 1)), string(appendSessionKey(nil, 2, kindRecord)), string(appendSessionKey(nil, math.MaxUint64, kindRecord)),
	} {
		require.Greater(t, key, last)
		last = key
	}
	number, k, rest, ok := splitSessionKey(appendFilterKey(nil, 7, "a/b"))
	require.True(t, ok)
	require.EqualValues(t, 7, number)
	require.Equal(t, kindFilter, k)
	require.Equal(t, "a/b", string(rest))
	for _, bad := range [][]byte{nil, {'s'}, append(appendSessionKey(nil, 1, kindRecord), 0), appendSessionKey(nil, 1, kindHold), appendSessionKey(nil, 1, 9), appendMessageKey(nil, 1)} {
		_, _, _, ok := splitSessionKey(bad)
		require.False(t, ok, "%q", bad)
	}
}

// FuzzValues feeds bytes to every reader: none panics, and what one takes it
// takes again as it was.
func FuzzValues(f *testing.F) {
	for _, m := range messages() {
		f.Add(appendMessage(nil, m, true))
		f.Add(appendFlight(nil, &flight{seq: 1, order: 2}, m))
		f.Add(appendMessage([]byte{holdOwn}, m, true))
		f.Add(appendDead(nil, &store.Dead{Message: m, QoS: 1, Retain: true, Reason: "why", At: 5}))
	}
	for _, r := range records() {
		f.Add(appendRecord(nil, &r))
	}
	f.Add(appendFilter(nil, &store.Filter{QoS: 2, SubID: 300}))
	f.Add(appendSharedHold(nil, 5))
	f.Fuzz(func(t *testing.T, b []byte) {
		d := decoder{b: b}
		if m := d.message("topic"); !d.bad {
			again := decoder{b: appendMessage(nil, m, true)}
			require.Equal(t, m, again.message(""))
			require.False(t, again.bad)
		}
		d = decoder{b: b}
		if r := d.record(); !d.bad {
			again := decoder{b: appendRecord(nil, &r)}
			require.Equal(t, r, again.record())
		}
		d = decoder{b: b}
		if x, own := d.flight(); !d.bad && !own {
			require.Equal(t, b, appendFlight(nil, &x, nil))
		}
		d = decoder{b: b}
		if x := d.filter("f"); !d.bad {
			require.Equal(t, b, appendFilter(nil, &x))
		}
		d = decoder{b: b}
		if x := d.dead(9); !d.bad {
			again := decoder{b: appendDead(nil, &x)}
			require.Equal(t, x, again.dead(9))
			require.False(t, again.bad)
		}
		d = decoder{b: b}
		d.hold()
		deadlineOfHold(b)
	})
}

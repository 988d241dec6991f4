// SPDX-License-Identifier: Apache-2.0

package pebble

import (
	"encoding/binary"
	"math"

	"emqttd/actors/store"
	"emqttd/protocol/message"
	"emqttd/protocol/packet"
)

// appendRecord appends a session's record: version, then its fields, then the
// will to the end if there is one.
func appendRecord(dst []byte, r *store.Record) []byte {
	dst = append(dst, version, byte(r.Version))
	dst = appendText(dst, r.ClientID)
	dst = appendText(dst, r.Username)
	dst = binary.AppendUvarint(dst, r.Epoch)
	dst = binary.AppendUvarint(dst, uint64(r.Expiry))
	dst = binary.BigEndian.AppendUint64(dst, uint64(r.Disconnected))
	dst = binary.AppendUvarint(dst, uint64(r.WillDelay))
	if r.Will != nil {
		dst = appendMessage(dst, r.Will, true)
	}
	return dst
}

func (d *decoder) record() (r store.Record) {
	d.want(d.byte() == version)
	r.Version = packet.Version(d.byte())
	r.ClientID = d.text()
	r.Username = d.text()
	r.Epoch = d.uvarint(math.MaxUint64)
	r.Expiry = d.uint32()
	r.Disconnected = int64(d.uint64())
	r.WillDelay = d.uint32()
	if len(d.b) > 0 {
		r.Will = d.message("")
	}
	return r
}

// never is the session expiry of a session that does not expire [v5 3.1.2.11.2].
const never = math.MaxUint32

// over reports whether a session has ended by its expiry at the time now. One
// with a will has not: whoever starts it publishes the will first. Expiry 0 says
// nothing, since such a session has no record for longer than its connection.
func over(r *store.Record, now int64) bool {
	if r.Disconnected == 0 || r.Expiry == 0 || r.Expiry == never || r.Will != nil {
		return false
	}
	return now >= r.Disconnected+int64(r.Expiry)*1e9
}

// Options of a filter, as bits; the lowest two are its QoS.
const (
	filterNoLocal = 1 << 2
	filterAsPub   = 1 << 3
	filterRetain  = 4      // shift of RetainHandling, two bits
	filterOwed    = 1 << 6 // retained messages are owed, see format
	filterKnown   = filterOwed<<1 - 1
)

// appendFilter appends a subscription: version, options, identifier, and of what
// it is owed the position and the place. Its text is in the key.
func appendFilter(dst []byte, f *store.Filter) []byte {
	options := byte(f.QoS&3) | f.RetainHandling<<filterRetain
	if f.NoLocal {
		options |= filterNoLocal
	}
	if f.AsPub {
		options |= filterAsPub
	}
	if f.Owed == nil {
		return binary.AppendUvarint(append(dst, version, options), uint64(f.SubID))
	}
	dst = binary.AppendUvarint(append(dst, version, options|filterOwed), uint64(f.SubID))
	return appendText(binary.AppendUvarint(dst, f.Owed.Start), f.Owed.After)
}

func (d *decoder) filter(text string) store.Filter {
	d.want(d.byte() == version)
	options := d.byte()
	d.want(options&3 <= byte(packet.QoS2) && options&^filterKnown == 0)
	f := store.Filter{Text: text, QoS: packet.QoS(options & 3), RetainHandling: options >> filterRetain & 3,
		NoLocal: options&filterNoLocal != 0, AsPub: options&filterAsPub != 0, SubID: d.uint32()}
	if options&filterOwed != 0 {
		f.Owed = &store.Owed{Start: d.uvarint(math.MaxUint64), After: d.text()}
	}
	d.end()
	return f
}

// end wants that the value is over.
func (d *decoder) end() { d.want(len(d.b) == 0) }

// Bits of a flight: how far it is, how it was delivered.
const (
	flightReleased = 1 << iota
	flightRetain
	flightOwn          // the message follows
	flightQoS   = iota // shift
	flightKnown = 1<<(flightQoS+2) - 1
)

// appendFlight appends what is in flight: version, bits, order, position, and the
// message itself when the session has no hold on it, m not nil.
func appendFlight(dst []byte, f *flight, m *message.Message) []byte {
	bits := byte(f.qos&3) << flightQoS
	if f.phase == store.Released {
		bits |= flightReleased
	}
	if f.retain {
		bits |= flightRetain
	}
	if m != nil {
		bits |= flightOwn
	}
	dst = binary.AppendUvarint(append(dst, version, bits), f.order)
	dst = binary.AppendUvarint(dst, f.seq)
	if m != nil {
		dst = appendMessage(dst, m, true)
	}
	return dst
}

// flight reads the fixed part; own says that the message follows.
func (d *decoder) flight() (f flight, own bool) {
	d.want(d.byte() == version)
	bits := d.byte()
	f.qos, f.retain = packet.QoS(bits>>flightQoS), bits&flightRetain != 0
	d.want(bits&^flightKnown == 0 && f.qos <= packet.QoS2)
	if bits&flightReleased != 0 {
		f.phase = store.Released
	}
	f.order = d.uvarint(math.MaxUint64)
	f.seq = d.uvarint(math.MaxUint64)
	own = bits&flightOwn != 0
	if !own {
		d.end()
	}
	return f, own
}

// Forms of a hold. A new form gets a new number.
const (
	holdShared        = 1 // the message lies under its position
	holdSharedExpires = 2 // the same, and its deadline follows
	holdOwn           = 3 // the message follows
	holdFound         = 4 // the same, and it is delivered as retained
)

// appendSharedHold appends the hold on a message that lies under its position.
func appendSharedHold(dst []byte, expiry int64) []byte {
	if expiry == 0 {
		return append(dst, holdShared)
	}
	return binary.BigEndian.AppendUint64(append(dst, holdSharedExpires), uint64(expiry))
}

// hold reads the form and, of a shared one, the deadline; found says that the
// message is delivered as retained.
func (d *decoder) hold() (shared, found bool, expiry int64) {
	switch d.byte() {
	case holdShared:
		d.end()
		return true, false, 0
	case holdSharedExpires:
		expiry = int64(d.uint64())
		d.end()
		return true, false, expiry
	case holdOwn:
		return false, false, 0
	case holdFound:
		return false, true, 0
	}
	d.want(false)
	return false, false, 0
}

// SPDX-License-Identifier: Apache-2.0

package dissect

import "emqttd/protocol/packet"

// Field is a run of bytes with one meaning. The fields of a packet follow each
// other without gap or overlap, from its first byte to its last.
type Field struct {
	Group  Group  `json:"group"`
	Name   string `json:"name"` // the standard's word, lower case
	Offset int    `json:"offset"`
	Length int    `json:"length"`          // bytes, at least 1
	Value  string `json:"value,omitempty"` // of a number, flags or text; empty for binary data
	Note   string `json:"note,omitempty"`  // what the value means, where that is not plain
	Bits   []Bit  `json:"bits,omitempty"`  // of a byte of flags, high to low, together all eight
	Kind   Kind   `json:"kind"`
}

// Group is the part of a packet that a field belongs to.
type Group string

// The parts, in the order in which they can follow each other
// [v3.1.1 2, v5 2].
const (
	FixedHeader    Group = "fixed header"
	VariableHeader Group = "variable header"
	Properties     Group = "properties"
	Payload        Group = "payload"
	WillProperties Group = "will properties"
	Unread         Group = "not decoded"
)

// Kind says how the bytes of a field are to be shown, and to whom.
type Kind string

// Kinds of fields.
const (
	Number Kind = "number"
	Flags  Kind = "flags"
	Text   Kind = "text"
	Binary Kind = "binary"
	Data   Kind = "data"   // an application message: its owner's alone
	Secret Kind = "secret" // a password or authentication data
	Faulty Kind = "faulty" // belongs to no field
)

// Bit is one flag, or a small number, in a byte.
type Bit struct {
	Mask  uint8  `json:"mask"`
	Name  string `json:"name"`
	Value uint8  `json:"value"` // shifted down
	Note  string `json:"note,omitempty"`
}

// Packet is one packet taken apart.
type Packet struct {
	Type    packet.Type
	Version packet.Version // by which it was read; 0: before a CONNECT
	Bytes   []byte         // what was given, whole
	Fields  []Field
	Err     error // the parser's, nil for a packet it accepts
}

// Title is the packet in a few words: its type and what tells it from others of
// the type, never a payload or password.
func (p *Packet) Title() string {
	title := p.Type.String()
	if p.Err != nil {
		return title + ", refused"
	}
	for _, f := range p.Fields {
		switch f.Name {
		case "client identifier", "topic name", "topic filter", "return code", "reason code":
			if f.Value != "" && f.Kind != Number {
				title += " " + f.Value
			} else if f.Note != "" {
				title += " " + f.Note
			}
		case "packet identifier":
			title += " #" + f.Value
		}
	}
	return title
}

// SPDX-License-Identifier: Apache-2.0

package microscope

import (
	"emqttd/protocol/dissect"
	"emqttd/protocol/packet"
	"emqttd/protocol/parser"
)

// Cut says in which pieces bytes are sent.
type Cut struct {
	// How is "whole", "fields", "count" or "size". Fields makes a piece of every
	// field, which is what MQTT.js did when it wrote each field to its stream: the
	// 53 bytes of the article's CONNECT become its 13 frames.
	How string `json:"how"`
	N   int    `json:"n"` // how many pieces, or bytes of a piece
	// Fragments makes one message of the pieces, in continuation frames; else
	// each piece is a message of its own.
	Fragments bool `json:"fragments"`
	PauseMS   int  `json:"pause_ms"` // between two frames
}

// maxPieces bounds the frames of one send, and maxPause the pause between two,
// in milliseconds.
const (
	maxPieces = 4096
	maxPause  = 5000
)

// pieces cuts b; v is the version of the connection.
func (u Cut) pieces(b []byte, v packet.Version) ([][]byte, error) {
	if u.PauseMS < 0 || u.PauseMS > maxPause {
		return nil, refuse("A pause is 0 to %d milliseconds.", maxPause)
	}
	var lengths []int
	switch u.How {
	case "", "whole":
		lengths = []int{len(b)}
	case "fields":
		for _, f := range dissect.One(b, v, parser.Server).Fields {
			lengths = append(lengths, f.Length)
		}
	case "count":
		if u.N < 1 || u.N > len(b) {
			return nil, refuse("%d bytes make 1 to %d frames.", len(b), len(b))
		}
		for i := range u.N {
			lengths = append(lengths, (i+1)*len(b)/u.N-i*len(b)/u.N)
		}
	case "size":
		if u.N < 1 {
			return nil, refuse("A frame holds at least one byte.")
		}
		for left := len(b); left > 0; left -= u.N {
			lengths = append(lengths, min(left, u.N))
		}
	default:
		return nil, refuse("A packet is cut by whole, fields, count or size.")
	}
	if len(lengths) > maxPieces {
		return nil, refuse("That would be %d frames; at most %d are sent at once.", len(lengths), maxPieces)
	}
	var out [][]byte
	for _, n := range lengths {
		out = append(out, b[:n:n])
		b = b[n:]
	}
	if len(b) > 0 { // bytes behind the first packet: in one piece
		out = append(out, b)
	}
	return out, nil
}

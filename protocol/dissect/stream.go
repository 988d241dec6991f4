// SPDX-License-Identifier: Apache-2.0

package dissect

import (
	"errors"

	"emqttd/protocol/packet"
	"emqttd/protocol/parser"
)

// ErrNotMQTT is returned by Feed for bytes behind a packet that the parser
// refused: nobody can say where the next one would begin.
var ErrNotMQTT = errors.New("dissect: bytes behind a refused packet")

// Stream takes the bytes of one direction of a connection apart, however they
// are cut. It holds at most one unfinished packet.
type Stream struct {
	p      parser.Parser
	role   parser.Role
	max    uint32
	held   []byte // of the unfinished packet
	broken bool
}

// NewStream is a Stream for what a server (parser.Server) or a client receives;
// max bounds one packet in bytes. A client's stream speaks 3.1.1 until
// SetVersion.
func NewStream(role parser.Role, max uint32) *Stream {
	return &Stream{p: parser.New(parser.Options{Role: role, MaxPacketSize: max}), role: role, max: max}
}

// SetVersion tells a client's stream which version its CONNECT asked for. It
// must stand between two packets.
func (s *Stream) SetVersion(v packet.Version) {
	s.p = parser.New(parser.Options{Role: s.role, Version: v, MaxPacketSize: s.max})
}

// Feed takes the next bytes and calls yield for each packet that ends in them,
// and for one that is refused, with whatever of it has come. The packets own
// their bytes.
func (s *Stream) Feed(data []byte, yield func(Packet)) error {
	for len(data) > 0 {
		if s.broken {
			return ErrNotMQTT
		}
		version := s.p.Version()
		next, pkt, rest, err := s.p.Parse(data, nil)
		if err != nil {
			s.broken = true
			whole := append(s.held, data...)
			s.held = nil
			yield(layOut(whole, version, err))
			return nil
		}
		s.held = append(s.held, data[:len(data)-len(rest)]...)
		s.p, data = next, rest
		if pkt != nil {
			whole := s.held
			s.held = nil
			yield(layOut(whole, version, nil))
		}
	}
	return nil
}

// Continuation is where in a packet the bytes ended: which part is expected,
// how many bytes of the packet are there, and how many are wanted at least
// before the next step. emqttd's parser answered {more, fun} here.
func (s *Stream) Continuation() (stage string, buffered, want int) {
	return s.p.Stage(), s.p.Buffered(), s.p.Want()
}

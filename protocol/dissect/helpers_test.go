// SPDX-License-Identifier: Apache-2.0

package dissect_test

import (
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"emqttd/protocol/dissect"
	"emqttd/protocol/packet"
)

// wire turns annotated hex into bytes.
func wire(t testing.TB, text string) []byte {
	t.Helper()
	var digits strings.Builder
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		digits.WriteString(strings.Join(strings.Fields(line), ""))
	}
	b, err := hex.DecodeString(digits.String())
	require.NoError(t, err, text)
	return b
}

// seed reads a golden capture, line by line.
func seed(t testing.TB, name string) (pieces [][]byte) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "testdata", "seeds", name))
	require.NoError(t, err)
	for line := range strings.Lines(string(text)) {
		if b := wire(t, line); len(b) > 0 {
			pieces = append(pieces, b)
		}
	}
	return pieces
}

// requireCovered holds that every byte belongs to exactly one field, in order,
// and that the bits of a byte of flags are all eight, each once.
func requireCovered(t testing.TB, p dissect.Packet) {
	t.Helper()
	at := 0
	for _, f := range p.Fields {
		require.Equal(t, at, f.Offset, "%q of %x", f.Name, p.Bytes)
		require.Positive(t, f.Length, "%q of %x", f.Name, p.Bytes)
		at += f.Length
		if f.Kind != dissect.Flags {
			require.Empty(t, f.Bits)
			continue
		}
		sum := 0
		for _, b := range f.Bits {
			sum += int(b.Mask)
		}
		require.Equal(t, 255, sum, "bits of %q", f.Name)
	}
	require.Equal(t, len(p.Bytes), at, "%x", p.Bytes)
}

// table is the fields as people read them: one line each.
func table(p dissect.Packet) []string {
	var out []string
	for _, f := range p.Fields {
		line := fmt.Sprintf("%x %s", p.Bytes[f.Offset:f.Offset+f.Length], f.Name)
		if f.Value != "" {
			line += " = " + f.Value
		}
		if f.Note != "" {
			line += " (" + f.Note + ")"
		}
		out = append(out, line)
	}
	return out
}

// shown is what the fields say, sorted: "name=value", for flags of the bits.
func shown(p dissect.Packet) (out []string) {
	for _, f := range p.Fields {
		switch {
		case strings.HasSuffix(f.Name, " length") || f.Name == "property" || f.Name == "protocol name":
		case f.Kind == dissect.Flags && f.Name != "connect flags":
			for _, b := range f.Bits {
				if b.Name != "reserved" && b.Name != "flags" {
					out = append(out, fmt.Sprintf("%s=%d", b.Name, b.Value))
				}
			}
		case f.Kind == dissect.Flags:
		case f.Value == "":
			out = append(out, fmt.Sprintf("%s=%x", f.Name, p.Bytes[f.Offset:f.Offset+f.Length]))
		default:
			out = append(out, f.Name+"="+f.Value)
		}
	}
	slices.Sort(out)
	return out
}

// says is the same of a packet as the parser read it.
type says []string

func (s *says) add(name string, value any) { *s = append(*s, fmt.Sprintf("%s=%v", name, value)) }

// some adds what is absent when it is empty.
func (s *says) some(name, value string) {
	if value != "" {
		s.add(name, value)
	}
}

func (s *says) binary(name string, value []byte) { s.some(name, hex.EncodeToString(value)) }

func (s *says) bit(name string, on bool) {
	v := 0
	if on {
		v = 1
	}
	s.add(name, v)
}

func (s *says) properties(p *packet.Properties) {
	if p == nil {
		return
	}
	for id := range p.IDs() {
		switch name := id.String(); id.Info().Kind {
		case packet.KindByte:
			s.add(name, *p.Byte(id))
		case packet.KindUint16:
			s.add(name, *p.Uint16(id))
		case packet.KindUint32:
			s.add(name, *p.Uint32(id))
		case packet.KindText:
			s.some(name, *p.Text(id))
		case packet.KindBinary:
			s.binary(name, *p.Binary(id))
		case packet.KindVarint:
			for _, v := range p.SubscriptionIDs {
				s.add(name, v)
			}
		case packet.KindPair:
			for _, u := range p.User {
				s.some(name+" name", u.Key)
				s.some(name+" value", u.Value)
			}
		}
	}
}

// parsed is what the parser's packet says, as shown writes it.
func parsed(p packet.Packet, v packet.Version, first byte) []string {
	var s says
	s.add("type", uint8(p.Type()))
	switch p := p.(type) {
	case *packet.Connect:
		level := uint8(p.Version)
		if p.Bridge {
			level |= 0x80
		}
		s.add("protocol level", level)
		s.add("keep alive", p.KeepAlive)
		s.properties(p.Properties)
		s.some("client identifier", p.ClientID)
		if p.Will != nil {
			s.properties(p.Will.Properties)
			s.some("will topic", p.Will.Topic)
			s.binary("will message", p.Will.Payload)
		}
		s.some("user name", p.Username)
		s.binary("password", p.Password)
	case *packet.Connack:
		if v != packet.V31 {
			s.bit("session present", p.SessionPresent)
		}
		name, code := "reason code", uint8(p.Code)
		if v != packet.V5 || p.Code == packet.UnsupportedProtocolVersion && p.Properties == nil {
			name, code = "", 0
		}
		s.some(name, fmt.Sprint(code))
		s.properties(p.Properties)
	case *packet.Publish:
		s.bit("dup", p.Dup)
		s.add("qos", uint8(p.QoS))
		s.add("retain", first&1)
		s.some("topic name", string(p.Topic))
		if p.QoS > 0 {
			s.add("packet identifier", p.ID)
		}
		s.properties(p.Properties)
		s.binary("application message", p.Payload)
	case *packet.Ack:
		s.add("packet identifier", p.ID)
		s.properties(p.Properties)
	case *packet.Subscribe:
		s.add("packet identifier", p.ID)
		s.properties(p.Properties)
		for _, sub := range p.Subscriptions {
			s.some("topic filter", sub.Filter)
			if v != packet.V5 {
				s.add("qos", uint8(sub.QoS))
				continue
			}
			s.add("maximum qos", uint8(sub.QoS))
			s.bit("no local", sub.NoLocal)
			s.bit("retain as published", sub.RetainAsPublished)
			s.add("retain handling", sub.RetainHandling)
		}
	case *packet.Suback:
		s.add("packet identifier", p.ID)
		s.properties(p.Properties)
		for _, c := range p.Codes {
			s.add("reason code", uint8(c))
		}
	case *packet.Unsubscribe:
		s.add("packet identifier", p.ID)
		s.properties(p.Properties)
		for _, f := range p.Filters {
			s.some("topic filter", f)
		}
	case *packet.Unsuback:
		s.add("packet identifier", p.ID)
		s.properties(p.Properties)
		for _, c := range p.Codes {
			s.add("reason code", uint8(c))
		}
	case *packet.Disconnect:
		s.properties(p.Properties)
	case *packet.Auth:
		s.properties(p.Properties)
	}
	out := slices.DeleteFunc(s, func(line string) bool { return strings.HasPrefix(line, "=") })
	slices.Sort(out)
	return out
}

// withoutCodes leaves out the codes that the parser's packet cannot tell from
// absent ones.
func withoutCodes(lines []string, t packet.Type, v packet.Version) []string {
	kept := t == packet.SUBACK || t == packet.UNSUBACK || t == packet.CONNACK && v == packet.V5
	return slices.DeleteFunc(slices.Clone(lines), func(l string) bool {
		return !kept && strings.HasPrefix(l, "reason code=") || strings.HasPrefix(l, "return code=")
	})
}

// SPDX-License-Identifier: Apache-2.0

package microscope

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"io"
	"strings"
)

// Text writes events of one connection for people, in the manner of the dumps
// that Wireshark copies.
func Text(w io.Writer, events []*Event) error {
	t := &page{w: bufio.NewWriter(w)}
	for _, e := range events {
		t.event(e)
	}
	return t.w.Flush()
}

type page struct{ w *bufio.Writer }

func (t *page) printf(format string, args ...any) { fmt.Fprintf(t.w, format, args...) }

func (t *page) event(e *Event) {
	at := e.At.UTC().Format("15:04:05.000000")
	switch {
	case e.State != nil:
		t.state(at, e.State)
	case e.Request != nil:
		t.printf("%s -> HTTP request\n", at)
		t.indent(string(e.Request.Raw))
	case e.Response != nil:
		t.response(at, e.Response)
	case e.Frame != nil:
		t.frame(at, e.Frame)
	case e.Packet != nil:
		t.packet(at, e.Packet)
	case e.Hop != nil:
		t.hop(at, e.Hop)
	case e.Note != nil:
		t.printf("%s    %s\n", at, e.Note.Text)
	}
}

func (t *page) state(at string, s *State) {
	t.printf("%s    %s", at, s.Phase)
	switch s.Phase {
	case Dialing:
		t.printf(" %s", s.URL)
	case Connected:
		t.printf(" %s -> %s", s.Local, s.Remote)
	}
	for _, more := range []string{s.TLS, s.Reason} {
		if more != "" {
			t.printf(": %s", more)
		}
	}
	t.printf("\n")
}

func (t *page) response(at string, r *Response) {
	t.printf("%s <- HTTP response\n", at)
	t.indent(string(r.Raw))
	if a := r.Accept; a != nil {
		t.printf("    base64(SHA-1(%s + %s))\n      = base64(%s)\n      = %s, the server says %s\n", a.Key, a.GUID, a.SHA1, a.Base64, a.Got)
	}
	t.printf("    %s\n", r.Verdict)
}

func arrow(out bool) string {
	if out {
		return "->"
	}
	return "<-"
}

func (t *page) frame(at string, f *Frame) {
	if f.Bare {
		t.printf("%s %s %d bytes\n", at, arrow(f.Out), len(f.Payload))
		t.dump(f.Payload)
		t.behind(f)
		return
	}
	t.printf("%s %s frame: FIN %d, RSV %d, opcode %d (%s), ", at, arrow(f.Out), bit(f.Fin), f.RSV, f.Opcode, f.Name)
	if f.Masked {
		t.printf("mask %x, ", f.Key)
	} else {
		t.printf("not masked, ")
	}
	t.printf("%d bytes\n    header   % x\n", len(f.Payload), f.Header)
	if f.Masked && len(f.Payload) > 0 {
		t.printf("    masked\n")
		t.dump(f.masked())
	}
	if len(f.Payload) > 0 {
		t.printf("    payload\n")
		t.dump(f.Payload)
	}
	t.behind(f)
}

// behind is what a parser waits for after f, and what is wrong with f.
func (t *page) behind(f *Frame) {
	if f.More != nil && f.More.Buffered > 0 {
		t.printf("    {more, want %d bytes: %s}\n", f.More.Want, f.More.Stage)
	}
	if f.Fault != "" {
		t.printf("    %s\n", f.Fault)
	}
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (t *page) packet(at string, p *Packet) {
	t.printf("%s %s MQTT %s, %d bytes in %d frames\n", at, arrow(p.Out), p.Title, len(p.Bytes), len(p.Frames))
	t.dump(p.Bytes)
	for _, f := range p.Fields {
		value := f.Value
		if value == "" {
			value = fmt.Sprintf("%d bytes", f.Length)
		}
		if f.Note != "" {
			value += " (" + f.Note + ")"
		}
		t.printf("    %04x %4d  %-32s %s\n", f.Offset, f.Length, f.Name, value)
		for _, b := range f.Bits {
			t.printf("               %08b  %-30s %d", b.Mask, b.Name, b.Value)
			if b.Note != "" {
				t.printf(" (%s)", b.Note)
			}
			t.printf("\n")
		}
	}
	if p.Fault != "" {
		t.printf("    refused: %s\n", p.Fault)
	}
}

func (t *page) hop(at string, h *Hop) {
	t.printf("%s    %-10s %-10s %s\n", at, h.Kind, h.Message, h.Detail)
	if h.More != nil && h.More.Buffered > 0 {
		t.printf("    {more, want %d bytes: %s}, says the broker\n", h.More.Want, h.More.Stage)
	}
}

func (t *page) indent(s string) {
	for line := range strings.Lines(s) {
		t.printf("    %s\n", strings.TrimRight(line, "\r\n"))
	}
}

// dump writes offset, hex and ASCII, sixteen bytes a line.
func (t *page) dump(b []byte) {
	for line := range strings.Lines(hex.Dump(b)) {
		t.printf("    %s", line)
	}
}

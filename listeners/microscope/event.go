// SPDX-License-Identifier: Apache-2.0

package microscope

import (
	"time"

	"emqttd/protocol/dissect"
)

// Event is one thing that happened on a connection. Exactly one of its pointers
// is set.
type Event struct {
	Seq  uint64    `json:"seq"` // in the tab, from 1 on
	Conn string    `json:"connection"`
	At   time.Time `json:"at"`

	State    *State    `json:"state,omitempty"`
	Request  *Request  `json:"request,omitempty"`
	Response *Response `json:"response,omitempty"`
	Frame    *Frame    `json:"frame,omitempty"`
	Packet   *Packet   `json:"packet,omitempty"`
	Hop      *Hop      `json:"hop,omitempty"`
	Note     *Note     `json:"note,omitempty"`
}

// Phase is how far a connection has come.
type Phase string

// The phases of a connection.
const (
	Dialing   Phase = "dialing"
	Connected Phase = "connected" // TCP, and TLS where asked for
	Open      Phase = "open"      // upgraded: frames may go
	Closed    Phase = "closed"
)

// State says that a connection has entered a phase.
type State struct {
	Phase  Phase  `json:"phase"`
	URL    string `json:"url"`
	Own    bool   `json:"own"` // it leads to this broker
	Local  string `json:"local,omitempty"`
	Remote string `json:"remote,omitempty"`
	TLS    string `json:"tls,omitempty"`    // version and cipher
	Reason string `json:"reason,omitempty"` // of closed: a sentence
}

// Request is the upgrade request.
type Request struct {
	Raw     []byte   `json:"raw"`
	Line    string   `json:"line"`
	Headers []Header `json:"headers"`
}

// Header is a header line with what it is for.
type Header struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	Note  string `json:"note,omitempty"`
}

// Response is the answer to the upgrade.
type Response struct {
	Raw     []byte   `json:"raw"`
	Line    string   `json:"line"`
	Headers []Header `json:"headers"`
	Accept  *Accept  `json:"accept,omitempty"`
	OK      bool     `json:"ok"`
	Verdict string   `json:"verdict"` // a sentence
}

// Accept is Sec-WebSocket-Accept worked out [RFC 6455 1.3].
type Accept struct {
	Key    string `json:"key"`
	GUID   string `json:"guid"`
	Joined string `json:"joined"`
	SHA1   string `json:"sha1"` // hex
	Base64 string `json:"base64"`
	Got    string `json:"got"`
	Equal  bool   `json:"equal"`
}

// Packet is a control packet.
type Packet struct {
	Out     bool            `json:"out"`
	Type    string          `json:"type"`
	Title   string          `json:"title"`
	Version string          `json:"version,omitempty"`
	Stream  int64           `json:"stream"` // where it begins among the MQTT bytes of its direction
	Bytes   []byte          `json:"bytes"`
	Fields  []dissect.Field `json:"fields"`
	Fault   string          `json:"fault,omitempty"`
	Frames  []uint64        `json:"frames"` // the events of the frames that it came in
}

// Hop is one message handled by one actor of the broker, on the way of a packet
// of the connection.
type Hop struct {
	Actor   string `json:"actor"`            // its name: ws:default/42/loop
	Kind    string `json:"kind"`             // ws_loop
	Module  string `json:"module,omitempty"` // emqttd's
	Message string `json:"message"`
	Detail  string `json:"detail,omitempty"`
	Bytes   int    `json:"bytes,omitempty"` // of MQTT that the ws_loop took
	// More is set for the ws_loop: what its parser waits for now.
	More *Continuation `json:"more,omitempty"`
}

// Note is a remark of the microscope.
type Note struct {
	Text string `json:"text"`
}

// size is about how many bytes an event takes.
func (e *Event) size() int {
	const head = 256
	switch {
	case e.Request != nil:
		return head + 3*len(e.Request.Raw)
	case e.Response != nil:
		return head + 3*len(e.Response.Raw)
	case e.Frame != nil:
		return head + len(e.Frame.Payload)
	case e.Packet != nil:
		return head + 2*len(e.Packet.Bytes) + 160*len(e.Packet.Fields)
	}
	return head
}

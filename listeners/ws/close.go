// SPDX-License-Identifier: Apache-2.0

package ws

import (
	"encoding/binary"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"

	"github.com/gorilla/websocket"
)

// Label says why a WebSocket connection ended: metric label and log field,
// never changed once released.
type Label string

const (
	LabelPeerClose  Label = "peer_close"      // the peer sent a close frame
	LabelClosed     Label = "closed"          // we did, by AppendClose
	LabelProtocol   Label = "protocol_error"  // a frame RFC 6455 forbids, 1002
	LabelText       Label = "text_frame"      // 1003 [v5 MQTT-6.0.0-1]
	LabelTooBig     Label = "message_too_big" // a compressed message beyond a limit, 1009
	LabelBadDeflate Label = "bad_deflate"     // 1007
	LabelPanic      Label = "panic"           // caught inside a library, 1011
	LabelDry        Label = "ran_dry"         // scanner and gorilla disagree, 1011: a fault of ours
)

// CloseError is returned by Feed when the connection ends. The close frame
// that is due is in the out-buffer already.
type CloseError struct {
	Code  int    // of the close frame: sent by the peer if Peer, else by us; 1005: it had none
	Text  string // of the close frame
	Label Label
	Peer  bool // the peer began it

	Panic any    // what was caught, for the log; nil otherwise
	Stack []byte // where, with Panic
}

func (e *CloseError) Error() string {
	who := "closed"
	if e.Peer {
		who = "closed by peer"
	}
	return fmt.Sprintf("ws: %s: %s %d %q", who, e.Label, e.Code, e.Text)
}

// end makes err what every further Feed returns.
func (d *Driver) end(err *CloseError) *CloseError {
	d.ended, d.message, d.left, d.payload = err, nil, nil, nil
	return err
}

// refuse ends the connection with a close frame.
func (d *Driver) refuse(code int, label Label, text string) *CloseError {
	d.sh.out = d.appendClose(d.sh.out, code, text)
	return d.end(&CloseError{Code: code, Text: text, Label: label})
}

// failed ends the connection with what gorilla said; if it wrote a close frame
// that is in the out-buffer already.
func (d *Driver) failed(err error) *CloseError {
	if peer, ok := errors.AsType[*websocket.CloseError](err); ok {
		return d.end(&CloseError{Code: peer.Code, Text: peer.Text, Label: LabelPeerClose, Peer: true})
	}
	if errors.Is(err, errDry) {
		return d.refuse(websocket.CloseInternalServerErr, LabelDry, "frame ran dry")
	}
	text := strings.TrimPrefix(err.Error(), "websocket: ")
	return d.end(&CloseError{Code: websocket.CloseProtocolError, Text: text, Label: LabelProtocol})
}

// caught ends the connection after a panic in a library.
func (d *Driver) caught(p any) *CloseError {
	err := d.refuse(websocket.CloseInternalServerErr, LabelPanic, "internal error")
	err.Panic, err.Stack = p, debug.Stack()
	return err
}

// appendClose appends one close frame; text is cut to what fits. Code 1005
// stands for a frame without code [RFC 6455 7.4.1].
func (d *Driver) appendClose(out []byte, code int, text string) []byte {
	var payload []byte
	if code != websocket.CloseNoStatusReceived {
		payload = binary.BigEndian.AppendUint16(payload, uint16(code))
		payload = append(payload, strings.ToValidUTF8(text[:min(len(text), maxControl-2)], "")...)
	}
	return d.appendControl(out, opClose, payload)
}

// AppendClose appends a close frame with code and text to out and ends the
// connection: nothing is read or written any more. It appends nothing if the
// connection has ended before.
func (d *Driver) AppendClose(out []byte, code int, text string) []byte {
	if d.ended != nil {
		return out
	}
	out = d.appendClose(out, code, text)
	d.end(&CloseError{Code: code, Text: text, Label: LabelClosed})
	return out
}

// Closed says whether a close frame went out or the connection ended
// otherwise: nothing may be written behind it.
func (d *Driver) Closed() bool { return d.ended != nil }

// SPDX-License-Identifier: Apache-2.0

package sys

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"emqttd/actors/cast"
	"emqttd/actors/router"
	"emqttd/supervisor/cell"
)

// connectedText and disconnectedText are emqttd's JSON, its order of keys
// included.
type (
	connectedText struct {
		ClientID  string `json:"clientid"`
		Username  string `json:"username"`
		IPAddress string `json:"ipaddress"`
		Session   bool   `json:"session"` // the session may have been there before
		Protocol  uint8  `json:"protocol"`
		Connack   uint8  `json:"connack"` // of accepted clients only, so 0
		Time      int64  `json:"ts"`      // seconds since the Unix epoch
	}
	disconnectedText struct {
		ClientID string `json:"clientid"`
		Reason   string `json:"reason"`
		Time     int64  `json:"ts"`
	}
)

// undefined is what emqttd writes for what is missing.
const undefined = "undefined"

// connected announces a client. A client that comes is also the moment to look
// whether there were never as many.
func (s *service) connected(ctx *cell.Context, msg *cast.ClientConnected) {
	if st := slot.See(ctx, &s.state); st.most.clients < s.figures.Clients() || st.most.sessions < s.figures.Sessions() {
		slot.Edit(ctx, &s.state).most.raise(s.figures.read())
	}
	o := &outlet{ctx: ctx, pub: s.pub}
	f := s.presence(o, msg.ClientID, "connected")
	if f == nil {
		return
	}
	text := connectedText{ClientID: msg.ClientID, Username: undefined, IPAddress: undefined,
		Session: !msg.CleanStart, Protocol: uint8(msg.Version), Time: seconds(msg.At)}
	if msg.HasUsername {
		text.Username = msg.Username
	}
	if msg.Peer.IsValid() {
		text.IPAddress = msg.Peer.Addr().Unmap().String()
	}
	o.send(f, encoded(text))
}

// disconnected announces that a client is gone. The reasons are those of log and
// metrics, which tell more than emqttd's.
func (s *service) disconnected(ctx *cell.Context, msg *cast.ClientDisconnected) {
	o := &outlet{ctx: ctx, pub: s.pub}
	if f := s.presence(o, msg.ClientID, "disconnected"); f != nil {
		o.send(f, encoded(disconnectedText{ClientID: msg.ClientID, Reason: msg.Reason.String(), Time: seconds(msg.At)}))
	}
}

// presence is who wants to know of an event, nil for nobody.
func (s *service) presence(o *outlet, clientID, event string) *router.Fanout {
	if !slot.See(o.ctx, &s.state).set.Presence || !s.pub.Table.System() {
		return nil
	}
	return o.wanted("$SYS/brokers/" + s.env.Node + "/clients/" + level(clientID) + "/" + event)
}

func seconds(at int64) int64 { return at / int64(time.Second) }

// encoded is v as JSON on one line. '<', '>' and '&' stay as they are: nobody
// puts this into a page as it stands.
func encoded(v any) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic("sys: presence: " + err.Error()) // strings, numbers and booleans always encode
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// level makes a topic level of a client id: what separates levels, stands for
// others or is not printed is written %XX, and so is '%' itself, so that two
// ids never have one level.
func level(clientID string) string {
	if !strings.ContainsFunc(clientID, special) {
		return clientID
	}
	var b strings.Builder
	for _, r := range clientID {
		if special(r) {
			fmt.Fprintf(&b, "%%%02X", r)
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

func special(r rune) bool {
	return r < 0x20 || r == 0x7F || strings.ContainsRune("/+#%", r)
}

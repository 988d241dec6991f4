// SPDX-License-Identifier: Apache-2.0

package microscope

import (
	"context"
	"encoding/hex"
	"math"
	"time"

	"emqttd/protocol/dissect"
	"emqttd/protocol/packet"
	"emqttd/protocol/parser"
	"emqttd/protocol/serializer"
)

// Ask is what is wanted of a new connection.
type Ask struct {
	URL string `json:"url"`
	// Insecure takes any certificate.
	Insecure bool `json:"insecure"`
	Upgrade
}

// View is a connection as the page lists it.
type View struct {
	ID      string    `json:"id"`
	Serial  uint64    `json:"serial"` // among the connections of all users
	Owner   string    `json:"owner"`
	URL     string    `json:"url"`
	Own     bool      `json:"own"`
	Phase   Phase     `json:"phase"`
	Reason  string    `json:"reason,omitempty"`
	Opened  time.Time `json:"opened_at"`
	Answers bool      `json:"answers"`
	Version string    `json:"version,omitempty"` // of MQTT, once CONNECT was sent
	// Client is set for a client's own connection, which is watched.
	Client   string `json:"client_id,omitempty"`
	Revealed bool   `json:"revealed,omitempty"` // passwords and messages are not covered
}

func (c *conn) view() View {
	c.mu.Lock()
	defer c.mu.Unlock()
	v := View{ID: c.id, Serial: c.serial, Owner: c.tab.owner, URL: c.target.url.String(), Own: c.target.own != nil, Phase: c.phase,
		Reason: c.reason, Opened: c.opened, Answers: c.answers}
	if c.version != 0 {
		v.Version = c.version.String()
	}
	if w := c.watched; w != nil {
		v.Client, v.Revealed = w.client, w.cover == Nothing
	}
	return v
}

// Open begins a connection for v, in the tab of that name.
func (m *Microscope) Open(ctx context.Context, v *Viewer, tabName string, a Ask) (View, error) {
	t, err := m.tab(v, tabName)
	if err != nil {
		return View{}, err
	}
	to, err := m.aim(ctx, a.URL, v)
	if err != nil {
		return View{}, err
	}
	if a.Insecure && to.own == nil && !v.Admin {
		return View{}, refuse("Only administrators may leave a certificate unchecked.")
	}
	c, err := m.open(t, to, a.Upgrade, a.Insecure)
	if err != nil {
		return View{}, err
	}
	return c.view(), nil
}

// List are the connections of a tab.
func (m *Microscope) List(v *Viewer, tabName string) ([]View, error) {
	t, err := m.tab(v, tabName)
	if err != nil {
		return nil, err
	}
	return views(t.snapshot()), nil
}

// Changed is closed when something more happens in a tab.
func (m *Microscope) Changed(v *Viewer, tabName string) <-chan struct{} {
	t, err := m.tab(v, tabName)
	if err != nil {
		closed := make(chan struct{})
		close(closed)
		return closed
	}
	_, _, changed := t.after(math.MaxUint64, 0)
	return changed
}

func views(cs []*conn) []View {
	out := make([]View, 0, len(cs))
	for _, c := range cs {
		out = append(out, c.view())
	}
	return out
}

// errNone is returned for a connection that is not in the tab.
var errNone = &RefusedError{"There is no such connection in this tab."}

func (m *Microscope) conn(v *Viewer, tabName, id string) (*conn, error) {
	t, err := m.tab(v, tabName)
	if err != nil {
		return nil, err
	}
	c := t.find(id)
	if c == nil {
		return nil, errNone
	}
	return c, nil
}

// Order is something to send: a packet or bytes as hex, how to cut it, and the
// masking key for every frame (eight hex digits; empty: random ones).
type Order struct {
	Packet *Spec  `json:"packet"`
	Bytes  string `json:"bytes"`
	Cut    Cut    `json:"cut"`
	Key    string `json:"mask"`
}

// Plan is what an order would send.
type Plan struct {
	Bytes  []byte          `json:"bytes"`
	Pieces []int           `json:"pieces"` // lengths
	Fields []dissect.Field `json:"fields"`
	Title  string          `json:"title"`
	Fault  string          `json:"fault,omitempty"` // what a broker will find wrong with it
}

// encode makes the bytes of an order for a connection that speaks v.
func (o *Order) encode(v packet.Version, id func() packet.ID) ([]byte, error) {
	if o.Packet == nil {
		b, err := unhex(o.Bytes)
		if err == nil && len(b) == 0 {
			err = refuse("There is nothing to send.")
		}
		return b, err
	}
	p, err := o.Packet.build(id)
	if err != nil {
		return nil, err
	}
	if c, ok := p.(*packet.Connect); ok {
		v = c.Version
	}
	b, err := serializer.Append(nil, p, v)
	if err != nil {
		return nil, refuse("This makes no packet: %v.", err)
	}
	return b, nil
}

func (o *Order) key() (*[4]byte, error) {
	if o.Key == "" {
		return nil, nil
	}
	b, err := hex.DecodeString(o.Key)
	if err != nil || len(b) != 4 {
		return nil, refuse("A masking key is eight hex digits.")
	}
	return (*[4]byte)(b), nil
}

// Preview says what o would send on a connection that speaks version v, and
// sends nothing.
func (m *Microscope) Preview(o Order, v string) (*Plan, error) {
	version, ok := versions[v]
	if !ok {
		return nil, refuse("The version is 3.1, 3.1.1 or 5.0.")
	}
	b, err := o.encode(version, func() packet.ID { return 1 })
	if err != nil {
		return nil, err
	}
	if o.Packet != nil && o.Packet.Type == "CONNECT" || len(b) > 0 && b[0]>>4 == uint8(packet.CONNECT) {
		version = 0
	}
	pieces, err := o.Cut.pieces(b, version)
	if err != nil {
		return nil, err
	}
	d := dissect.One(b, version, parser.Server)
	out := &Plan{Bytes: b, Fields: d.Fields, Title: d.Title()}
	for _, p := range pieces {
		out.Pieces = append(out.Pieces, len(p))
	}
	if d.Err != nil {
		out.Fault = fault(d.Err)
	}
	return out, nil
}

// Send queues what o says on a connection.
func (m *Microscope) Send(v *Viewer, tabName, id string, o Order) error {
	c, err := m.conn(v, tabName, id)
	if err != nil {
		return err
	}
	c.mu.Lock()
	version := c.version
	if version == 0 && o.Packet != nil {
		version = packet.V311 // before a CONNECT: whatever is sent is refused
	}
	c.mu.Unlock()
	b, err := o.encode(version, c.freeID)
	if err != nil {
		return err
	}
	if len(b) > m.limits.MaxPacket {
		return refuse("These are %d bytes; the microscope sends %d at once (dashboard.microscope.max_packet).", len(b), m.limits.MaxPacket)
	}
	pieces, err := o.Cut.pieces(b, version)
	if err != nil {
		return err
	}
	key, err := o.key()
	if err != nil {
		return err
	}
	return c.send(&job{pieces: pieces, fragments: o.Cut.Fragments, pause: time.Duration(o.Cut.PauseMS) * time.Millisecond, key: key})
}

// freeID goes round the packet identifiers.
func (c *conn) freeID() packet.ID {
	c.mu.Lock()
	defer c.mu.Unlock()
	id := c.nextID
	c.nextID++
	if c.nextID == 0 {
		c.nextID = 1
	}
	return packet.ID(id)
}

// SetAnswers says whether a connection acknowledges and keeps itself alive.
func (m *Microscope) SetAnswers(v *Viewer, tabName, id string, on bool) error {
	c, err := m.conn(v, tabName, id)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answers = on
	return nil
}

// Hangup ends a connection: with a close frame, or, abruptly, by the socket.
func (m *Microscope) Hangup(v *Viewer, tabName, id string, abrupt bool) error {
	c, err := m.conn(v, tabName, id)
	if err != nil {
		return err
	}
	if c.watched != nil {
		c.shut(refuse("Not watched any more; the client stays connected."))
		return nil
	}
	if abrupt {
		c.shut(refuse("Cut off from here, without a close frame."))
		return nil
	}
	return c.send(&job{pieces: [][]byte{{0x03, 0xe8}}, control: opClose}) // 1000
}

// Forget ends a connection and takes it out of its tab.
func (m *Microscope) Forget(v *Viewer, tabName, id string) error {
	c, err := m.conn(v, tabName, id)
	if err != nil {
		return err
	}
	c.shut(refuse("Closed from here."))
	c.tab.forget(c)
	return nil
}

// Events are what happened on a connection of the tab, with passwords covered
// or not: they are the viewer's own.
func (m *Microscope) Events(v *Viewer, tabName, id string, k Mask) ([]*Event, error) {
	c, err := m.conn(v, tabName, id)
	if err != nil {
		return nil, err
	}
	return masked(c.tab.of(c), k), nil
}

// Others are the connections of all users; for administrators, and audited by
// the caller.
func (m *Microscope) Others() []View { return views(m.others()) }

// OthersEvents are what happened on anybody's connection; for administrators,
// and audited by the caller.
func (m *Microscope) OthersEvents(serial uint64, k Mask) ([]*Event, error) {
	for _, c := range m.others() {
		if c.serial == serial {
			return masked(c.tab.of(c), k), nil
		}
	}
	return nil, errNone
}

// SPDX-License-Identifier: Apache-2.0

package microscope

import (
	"encoding/hex"
	"encoding/json"
	"strings"
	"time"

	"emqttd/protocol/packet"
)

// Spec is a packet as the page's forms write it. Which fields count depends on
// the type; binary fields can be given as hex instead of text.
type Spec struct {
	Type       string                     `json:"type"` // CONNECT, PUBLISH, ...
	ID         packet.ID                  `json:"id"`   // 0: the next free one
	Properties map[string]json.RawMessage `json:"properties"`

	// CONNECT
	Version    string    `json:"version"` // 3.1, 3.1.1, 5.0
	ClientID   string    `json:"client_id"`
	CleanStart bool      `json:"clean_start"`
	KeepAlive  uint16    `json:"keep_alive"`
	Username   *string   `json:"username"`
	Password   *string   `json:"password"`
	Will       *WillSpec `json:"will"`

	// PUBLISH
	Topic      string     `json:"topic"`
	Payload    string     `json:"payload"`
	PayloadHex string     `json:"payload_hex"`
	QoS        packet.QoS `json:"qos"`
	Retain     bool       `json:"retain"`
	Dup        bool       `json:"dup"`

	// SUBSCRIBE, UNSUBSCRIBE
	Filters []FilterSpec `json:"filters"`

	// DISCONNECT, AUTH and the acknowledgements of 5.0
	Code uint8 `json:"code"`
}

// WillSpec is the will of a CONNECT.
type WillSpec struct {
	Topic      string                     `json:"topic"`
	Payload    string                     `json:"payload"`
	QoS        packet.QoS                 `json:"qos"`
	Retain     bool                       `json:"retain"`
	Properties map[string]json.RawMessage `json:"properties"`
}

// FilterSpec is one filter of a SUBSCRIBE or UNSUBSCRIBE.
type FilterSpec struct {
	Filter            string     `json:"filter"`
	QoS               packet.QoS `json:"qos"`
	NoLocal           bool       `json:"no_local"`
	RetainAsPublished bool       `json:"retain_as_published"`
	RetainHandling    uint8      `json:"retain_handling"`
}

func seconds(n uint16) time.Duration { return time.Duration(n) * time.Second }

var versions = map[string]packet.Version{"3.1": packet.V31, "3.1.1": packet.V311, "5.0": packet.V5, "5": packet.V5, "": packet.V311}

// build makes the packet of s; id gives the next packet identifier.
func (s *Spec) build(id func() packet.ID) (packet.Packet, error) {
	props, err := propertiesOf(s.Properties)
	if err != nil {
		return nil, err
	}
	if s.ID == 0 {
		switch s.Type {
		case "SUBSCRIBE", "UNSUBSCRIBE":
			s.ID = id()
		case "PUBLISH":
			if s.QoS > 0 {
				s.ID = id()
			}
		}
	}
	code := packet.ReasonCode(s.Code)
	switch s.Type {
	case "CONNECT":
		return s.connect(props)
	case "PUBLISH":
		return s.publish(props)
	case "SUBSCRIBE":
		out := &packet.Subscribe{ID: s.ID, Properties: props}
		for _, f := range s.Filters {
			out.Subscriptions = append(out.Subscriptions, packet.Subscription{Filter: f.Filter, QoS: f.QoS, NoLocal: f.NoLocal,
				RetainAsPublished: f.RetainAsPublished, RetainHandling: f.RetainHandling})
		}
		return out, nil
	case "UNSUBSCRIBE":
		out := &packet.Unsubscribe{ID: s.ID, Properties: props}
		for _, f := range s.Filters {
			out.Filters = append(out.Filters, f.Filter)
		}
		return out, nil
	case "PUBACK", "PUBREC", "PUBREL", "PUBCOMP":
		kind := map[string]packet.Type{"PUBACK": packet.PUBACK, "PUBREC": packet.PUBREC, "PUBREL": packet.PUBREL, "PUBCOMP": packet.PUBCOMP}[s.Type]
		return &packet.Ack{Kind: kind, ID: s.ID, Code: code, Properties: props}, nil
	case "PINGREQ":
		return &packet.Pingreq{}, nil
	case "DISCONNECT":
		return &packet.Disconnect{Code: code, Properties: props}, nil
	case "AUTH":
		return &packet.Auth{Code: code, Properties: props}, nil
	}
	return nil, refuse("A client does not send %q.", s.Type)
}

func (s *Spec) connect(props *packet.Properties) (packet.Packet, error) {
	v, ok := versions[s.Version]
	if !ok {
		return nil, refuse("The version is 3.1, 3.1.1 or 5.0.")
	}
	c := &packet.Connect{Version: v, CleanStart: s.CleanStart, KeepAlive: s.KeepAlive, ClientID: s.ClientID, Properties: props}
	if s.Username != nil {
		c.HasUsername, c.Username = true, *s.Username
	}
	if s.Password != nil {
		c.HasPassword, c.Password = true, []byte(*s.Password)
	}
	if w := s.Will; w != nil {
		wp, err := propertiesOf(w.Properties)
		if err != nil {
			return nil, err
		}
		c.Will = &packet.Will{QoS: w.QoS, Retain: w.Retain, Topic: w.Topic, Payload: []byte(w.Payload), Properties: wp}
	}
	return c, nil
}

func (s *Spec) publish(props *packet.Properties) (packet.Packet, error) {
	payload := []byte(s.Payload)
	if s.PayloadHex != "" {
		var err error
		if payload, err = unhex(s.PayloadHex); err != nil {
			return nil, err
		}
	}
	return &packet.Publish{Dup: s.Dup, QoS: s.QoS, Retain: s.Retain, ID: s.ID, Topic: []byte(s.Topic), Payload: payload, Properties: props}, nil
}

// unhex reads hex with blanks and line ends between.
func unhex(s string) ([]byte, error) {
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		return nil, refuse("This is not hex: %v.", err)
	}
	return b, nil
}

var propertyIDs = func() map[string]packet.Property {
	ids := map[string]packet.Property{}
	for id := packet.Property(1); id <= packet.PropSharedAvailable; id++ {
		if info := id.Info(); info != nil {
			ids[info.Name] = id
		}
	}
	return ids
}()

// propertiesOf reads properties by their names in the standard: numbers, texts,
// and for user properties a list of pairs.
func propertiesOf(in map[string]json.RawMessage) (*packet.Properties, error) {
	if len(in) == 0 {
		return nil, nil
	}
	p := new(packet.Properties)
	for name, value := range in {
		id, ok := propertyIDs[name]
		if !ok {
			return nil, refuse("There is no property %q.", name)
		}
		if err := setProperty(p, id, value); err != nil {
			return nil, refuse("The property %q: %v.", name, err)
		}
	}
	return p, nil
}

func setProperty(p *packet.Properties, id packet.Property, value json.RawMessage) error {
	switch id.Info().Kind {
	case packet.KindByte:
		p.Set(id)
		return json.Unmarshal(value, p.Byte(id))
	case packet.KindUint16:
		p.Set(id)
		return json.Unmarshal(value, p.Uint16(id))
	case packet.KindUint32:
		p.Set(id)
		return json.Unmarshal(value, p.Uint32(id))
	case packet.KindVarint:
		var v uint32
		if err := json.Unmarshal(value, &v); err != nil {
			return err
		}
		p.SubscriptionIDs = []uint32{v}
		return nil
	case packet.KindText:
		p.Set(id)
		return json.Unmarshal(value, p.Text(id))
	case packet.KindBinary:
		p.Set(id)
		var s string
		err := json.Unmarshal(value, &s)
		*p.Binary(id) = []byte(s)
		return err
	}
	var pairs [][2]string
	if err := json.Unmarshal(value, &pairs); err != nil {
		return err
	}
	for _, kv := range pairs {
		p.User = append(p.User, packet.UserProperty{Key: kv[0], Value: kv[1]})
	}
	return nil
}

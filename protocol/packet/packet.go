// SPDX-License-Identifier: Apache-2.0

package packet

// Packet is one control packet: a pointer to one of the structs below.
type Packet interface {
	// Type is the control packet type that goes on the wire.
	Type() Type
}

// Connect is the first packet of a client [v3.1.1 3.1, v5 3.1].
type Connect struct {
	Version    Version
	Bridge     bool // 0x80 of the protocol level was set: a bridge speaks (3.1 and 3.1.1, mosquitto's convention)
	CleanStart bool // clean session in 3.1.1
	KeepAlive  uint16
	ClientID   string
	Will       *Will
	Username   string
	Password   []byte
	// HasUsername and HasPassword tell an empty field from an absent one.
	HasUsername, HasPassword bool
	Properties               *Properties // 5.0
}

// Will is the message that the server publishes in the client's name when the
// connection ends without a DISCONNECT [v3.1.1 3.1.2.5, v5 3.1.2.5].
type Will struct {
	QoS        QoS
	Retain     bool
	Topic      string
	Payload    []byte
	Properties *Properties // 5.0: will properties, with the will delay
}

// Connack answers CONNECT [v3.1.1 3.2, v5 3.2].
type Connack struct {
	SessionPresent bool
	// Code is the 5.0 reason code. The serializer maps it to the return code of
	// 3.1.1 (ReasonCode.ReturnCode); the parser of a 3.x CONNACK maps it back.
	Code       ReasonCode
	Properties *Properties // 5.0
}

// Publish carries an application message [v3.1.1 3.3, v5 3.3].
//
// Topic and Payload of a parsed packet alias the parser's input: whoever keeps
// them longer than the turn copies them.
type Publish struct {
	Dup        bool
	QoS        QoS
	Retain     bool
	ID         ID // QoS 1 and 2 only
	Topic      []byte
	Payload    []byte
	Properties *Properties // 5.0; nil when the property length is 0
}

// Ack is PUBACK, PUBREC, PUBREL or PUBCOMP, told apart by Kind [v3.1.1 3.4-3.7, v5 3.4-3.7].
type Ack struct {
	Kind       Type
	ID         ID
	Code       ReasonCode  // 5.0; Success in 3.x
	Properties *Properties // 5.0
}

// Subscribe asks for topic filters [v3.1.1 3.8, v5 3.8].
type Subscribe struct {
	ID            ID
	Subscriptions []Subscription
	Properties    *Properties // 5.0: subscription identifier, user properties
}

// Subscription is one filter of a SUBSCRIBE with its options [v5 3.8.3.1].
type Subscription struct {
	Filter            string
	QoS               QoS
	NoLocal           bool  // 5.0
	RetainAsPublished bool  // 5.0
	RetainHandling    uint8 // 5.0: 0 send, 1 send if new, 2 do not send
}

// Suback answers SUBSCRIBE, one code per filter, in order [v3.1.1 3.9, v5 3.9].
type Suback struct {
	ID ID
	// Codes are 5.0 reason codes; the serializer writes every code >= 0x80 as
	// 0x80 for 3.1.1.
	Codes      []ReasonCode
	Properties *Properties // 5.0
}

// Unsubscribe withdraws topic filters [v3.1.1 3.10, v5 3.10].
type Unsubscribe struct {
	ID         ID
	Filters    []string
	Properties *Properties // 5.0
}

// Unsuback answers UNSUBSCRIBE [v3.1.1 3.11, v5 3.11].
type Unsuback struct {
	ID         ID
	Codes      []ReasonCode // 5.0; 3.1.1 has no payload
	Properties *Properties  // 5.0
}

// Pingreq and Pingresp keep the connection alive [v3.1.1 3.12-3.13, v5 3.12-3.13].
type (
	Pingreq  struct{}
	Pingresp struct{}
)

// Disconnect ends the connection; in 5.0 either side may send it [v3.1.1 3.14, v5 3.14].
type Disconnect struct {
	Code       ReasonCode  // 5.0
	Properties *Properties // 5.0
}

// Auth carries enhanced authentication [v5 3.15].
type Auth struct {
	Code       ReasonCode
	Properties *Properties
}

func (*Connect) Type() Type     { return CONNECT }
func (*Connack) Type() Type     { return CONNACK }
func (*Publish) Type() Type     { return PUBLISH }
func (a *Ack) Type() Type       { return a.Kind }
func (*Subscribe) Type() Type   { return SUBSCRIBE }
func (*Suback) Type() Type      { return SUBACK }
func (*Unsubscribe) Type() Type { return UNSUBSCRIBE }
func (*Unsuback) Type() Type    { return UNSUBACK }
func (*Pingreq) Type() Type     { return PINGREQ }
func (*Pingresp) Type() Type    { return PINGRESP }
func (*Disconnect) Type() Type  { return DISCONNECT }
func (*Auth) Type() Type        { return AUTH }

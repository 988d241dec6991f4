// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"

	"emqttd/protocol/packet"
)

// capabilities is what a broker says of itself: which versions it accepts, and
// the properties of its 5.0 CONNACK. It is asked once per run.
type capabilities struct {
	refusal   map[packet.Version]string // why a version cannot be checked
	connack   vars                      // CONNACK properties, absent ones with their default
	anonymous bool                      // CONNECT without user name is accepted
	options   Options
}

// probe connects once per version and once without credentials. An error means
// that the broker cannot be checked at all: it is not reached, or lets nobody in.
func probe(ctx context.Context, dial Dialer, opts Options, run string) (*capabilities, error) {
	caps := &capabilities{refusal: map[packet.Version]string{}, connack: maps.Clone(connackDefaults), options: opts}
	lastWord := ""
	for _, v := range []packet.Version{packet.V31, packet.V311, packet.V5} {
		ack, err := caps.ask(ctx, dial, opts, v, run)
		if err != nil {
			return nil, err
		}
		switch {
		case ack == nil:
			caps.refusal[v] = fmt.Sprintf("the broker does not answer a CONNECT of version %s", v)
		case ack.Code != packet.Success:
			caps.refusal[v] = fmt.Sprintf("the broker refuses a CONNECT of version %s: %s", v, ack.Code)
		default:
			caps.learn(ack.Properties)
			continue
		}
		if ack != nil || lastWord == "" { // an answer says more than none
			lastWord = caps.refusal[v]
		}
	}
	if len(caps.refusal) == 3 { // wrong credentials, most likely
		return nil, errors.New(lastWord)
	}
	caps.anonymous = opts.Username == ""
	if !caps.anonymous {
		opts.Username = ""
		ack, err := caps.ask(ctx, dial, opts, packet.V311, run)
		if err != nil {
			return nil, err
		}
		caps.anonymous = ack != nil && ack.Code == packet.Success
	}
	return caps, nil
}

// learn takes what a 5.0 CONNACK says in place of the defaults.
func (caps *capabilities) learn(p *packet.Properties) {
	for name := range connackDefaults {
		if value, ok := propertyText(p, name); ok {
			caps.connack[name] = value
		}
	}
}

// ask sends one CONNECT and returns the CONNACK, nil when there is none. Every
// response the broker can offer is asked for.
func (caps *capabilities) ask(ctx context.Context, dial Dialer, opts Options, v packet.Version, run string) (*packet.Connack, error) {
	nc, err := dial(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { _ = nc.Close() }()
	s := &script{ctx: ctx, opts: opts, st: &Statement{Version: v}, vars: vars{"id": run}}
	c := s.newConn("probe", nc)
	connect := s.defaultConnect(c)
	if v == packet.V5 {
		connect.Properties = (&packet.Properties{RequestResponseInformation: 1}).Set(packet.PropRequestResponseInfo)
	}
	if err := c.sendPacket(&connect); err != nil {
		return nil, err
	}
	r, _ := c.next(opts.Timeout)
	ack, _ := r.pkt.(*packet.Connack)
	if c.connected {
		s.bye(c)
	}
	return ack, nil
}

// refused says why version v cannot be checked, "" when it can.
func (caps *capabilities) refused(v packet.Version) string { return caps.refusal[v] }

// variables are the CONNACK properties for use in scripts.
func (caps *capabilities) variables() vars { return maps.Clone(caps.connack) }

// meets checks the conditions of a "needs" step.
func (caps *capabilities) meets(conditions string) error {
	for word := range strings.FieldsSeq(conditions) {
		if ok, reason := caps.meetsOne(word); !ok {
			return &notApplicable{reason}
		}
	}
	return nil
}

func (caps *capabilities) meetsOne(word string) (bool, string) {
	switch word {
	case "websocket":
		return caps.options.WebSocket != nil, "no WebSocket address is given"
	case "anonymous":
		return caps.anonymous, "the broker wants a user name"
	case "credentials":
		return caps.options.Username != "" && caps.options.Password != "", "no user name and password are given"
	}
	if v, ok := versions[word]; ok {
		return caps.refusal[v] == "", caps.refusal[v]
	}
	i := strings.IndexAny(word, "<>=")
	if i < 0 {
		return false, "unknown condition " + word
	}
	name, want := word[:i], strings.TrimPrefix(word[i:], "=")
	if name == "response-information" && want == "!" {
		return caps.connack[name] != "", "the broker has no response information"
	}
	got := caps.connack[name]
	return matchValue(want, got), fmt.Sprintf("%s of the broker is %s", name, got)
}

// SPDX-License-Identifier: Apache-2.0

package protocol

import (
	"crypto/rand"
	"slices"
	"time"

	"emqttd/actors/access"
	"emqttd/actors/access/acl"
	"emqttd/actors/cast"
	"emqttd/actors/metrics"
	"emqttd/actors/trace"
	"emqttd/protocol/packet"
	"emqttd/protocol/serializer"
	"emqttd/protocol/topic"
	"emqttd/supervisor/mailbox"
)

// connectPacket is CONNECT: validate_connect, then authentication, then the
// session.
func (st *stage) connectPacket(p *packet.Connect) {
	s := st.s
	if s.phase != fresh {
		st.fault(packet.FaultSecondConnect, metrics.CloseFault)
		return
	}
	s.request, s.version, s.clientID = p, p.Version, p.ClientID
	if code := st.validateConnect(p); code.Failed() {
		st.refuse(code, code.String())
		return
	}
	if s.clientID == "" {
		s.clientID, s.assigned = "emqttd_"+rand.Text(), true // [v3.1.1 MQTT-3.1.3-6, v5 MQTT-3.1.3-6 -7]
	}
	st.authenticate(p)
}

// validateConnect is the ladder of checks that need nothing but the packet.
func (st *stage) validateConnect(p *packet.Connect) packet.ReasonCode {
	for _, check := range [...]func(*packet.Connect) packet.ReasonCode{
		st.checkRate, st.checkClientID, st.checkWill, st.checkProperties, st.checkBan,
	} {
		if code := check(p); code.Failed() {
			return code
		}
	}
	return packet.Success
}

// checkClientID: an empty one asks for a new one, which 3.1.1 grants to clean
// sessions only [v3.1.1 MQTT-3.1.3-7 -8] and 3.1 never (1 to 23 characters).
func (st *stage) checkClientID(p *packet.Connect) packet.ReasonCode {
	lim := st.env.Limits()
	n := len(p.ClientID)
	switch {
	case n > lim.MaxClientID,
		n == 0 && p.Version == packet.V31,
		n == 0 && p.Version == packet.V311 && !p.CleanStart,
		n > 23 && p.Version == packet.V31 && lim.StrictV31ClientID:
		st.x.Count(&st.env.Metrics.Faults[packet.FaultClientID], 1)
		return packet.ClientIDNotValid
	}
	return packet.Success
}

// checkWill: its topic is a topic name, its QoS and retain are on offer
// [v5 MQTT-3.2.2-12 -13].
func (st *stage) checkWill(p *packet.Connect) packet.ReasonCode {
	lim := st.env.Limits()
	w := p.Will
	switch {
	case w == nil:
		return packet.Success
	case topic.ValidName(w.Topic, lim.Topics) != nil:
		st.x.Count(&st.env.Metrics.Faults[packet.FaultTopicName], 1)
		return packet.TopicNameInvalid
	case uint8(w.QoS) > lim.MaxQoS:
		return packet.QoSNotSupported
	case w.Retain && !lim.Retain:
		return packet.RetainNotSupported
	case !validResponse(w.Properties):
		st.x.Count(&st.env.Metrics.Faults[packet.FaultResponseTopic], 1)
		return packet.ProtocolError
	case w.Properties.Has(packet.PropPayloadFormat) && w.Properties.PayloadFormat == 1 && !packet.ValidText(w.Payload):
		return packet.PayloadFormatInvalid
	}
	return st.tooMuch(w.Properties)
}

// validResponse: a response topic is a topic name [v5 MQTT-3.3.2-14 MQTT-4.7.3-1].
func validResponse(p *packet.Properties) bool {
	return !p.Has(packet.PropResponseTopic) || p.ResponseTopic != "" && !topic.HasWildcard(p.ResponseTopic)
}

func (st *stage) checkProperties(p *packet.Connect) packet.ReasonCode {
	return st.tooMuch(p.Properties)
}

// tooMuch holds properties to their bounds.
func (st *stage) tooMuch(p *packet.Properties) packet.ReasonCode {
	if p == nil {
		return packet.Success
	}
	lim := st.env.Limits()
	size := len(p.ContentType) + len(p.ResponseTopic) + len(p.CorrelationData) + len(p.AuthData)
	for _, u := range p.User {
		size += len(u.Key) + len(u.Value) + 5
	}
	if len(p.User) > lim.MaxUserProperties || size > lim.MaxPropertiesSize {
		return packet.QuotaExceeded
	}
	return packet.Success
}

func (st *stage) checkRate(*packet.Connect) packet.ReasonCode {
	if st.conn.TooFast {
		return packet.ConnectionRateExceeded
	}
	return packet.Success
}

func (st *stage) checkBan(p *packet.Connect) packet.ReasonCode {
	if st.banned(p.ClientID, p.Username) {
		return packet.Banned
	}
	return packet.Success
}

func (st *stage) banned(clientID, user string) bool {
	_, yes := st.gate.Bans.Check(time.Unix(0, st.x.Now()), clientID, user, st.conn.Peer.Addr())
	return yes
}

// refuse ends the connection with a CONNACK; the client has no session, so it
// has no will either.
func (st *stage) refuse(code packet.ReasonCode, why string) {
	st.x.Count(&st.env.Metrics.Refused[code], 1)
	st.trace(trace.Event{Step: trace.Refused, Packet: packet.CONNECT.String(), Reason: code.String() + ": " + why})
	if e := st.env.Log.Info(); e.Enabled() {
		st.named(e).Stringer("code", code).Str("why", why).Msg("connect refused")
	}
	st.close(st.refusal(code), metrics.CloseRefused, code.String())
}

// refusal is the CONNACK that refuses; none for a client that takes no packet of
// its size [v5 MQTT-3.1.2-24].
func (st *stage) refusal(code packet.ReasonCode) packet.Packet {
	ack := &packet.Connack{Code: code.For(packet.CONNACK)}
	if limit := maxPacket(st.s.request); limit > 0 && !serializer.FitReason(ack, st.s.version, limit) {
		return nil
	}
	return ack
}

// maxPacket is the largest packet that the client takes; 0: any.
func maxPacket(p *packet.Connect) uint32 {
	if p == nil || !p.Properties.Has(packet.PropMaximumPacketSize) {
		return 0
	}
	return p.Properties.MaximumPacketSize
}

func (st *stage) authRequest() *access.Request {
	p := st.s.request
	return &access.Request{At: time.Unix(0, st.x.Now()), ClientID: st.s.clientID, Username: p.Username, HasUsername: p.HasUsername,
		Password: p.Password, HasPassword: p.HasPassword, Peer: st.conn.Peer, Listener: st.conn.Listener.Name,
		CertCN: st.conn.CertCN, Version: p.Version}
}

// authenticated is the verdict of a check that ran on the pool. pool -> self.
type authenticated struct {
	mailbox.Link
	verdict access.Verdict
}

// authenticate asks the chain. What may take long runs on the pool, while the
// connection is not read.
func (st *stage) authenticate(p *packet.Connect) {
	r := st.authRequest()
	if p.Properties.Has(packet.PropAuthMethod) {
		st.startExchange(r)
		return
	}
	if v, done := st.gate.Chain.Try(r); done {
		st.decided(v)
		return
	}
	st.s.phase = authenticating
	st.pause()
	st.x.Submit(&checker{st.gate, &st.conn.Protocol}, &check{request: r})
}

type (
	check struct {
		mailbox.Link
		request *access.Request
	}
	// checker hands a check to the pool (cell.Acceptor).
	checker struct {
		gate *Gate
		self interface {
			Push(m mailbox.Message) bool
		}
	}
)

// Accept implements cell.Acceptor.
func (c *checker) Accept(m mailbox.Message) {
	r := m.(*check).request
	if !c.gate.Pool.Try(func() { c.self.Push(&authenticated{verdict: c.gate.Chain.Check(r)}) }) {
		c.self.Push(&authenticated{verdict: access.Verdict{Answer: access.Answer{Outcome: access.Deny,
			Code: packet.ServerBusy, Why: "too many passwords are being checked"}}})
	}
}

func (st *stage) authenticated(msg *authenticated) {
	if st.s.phase == authenticating {
		st.decided(msg.verdict)
	}
}

// decided goes on with the session, or refuses.
func (st *stage) decided(v access.Verdict) {
	if v.Outcome != access.OK {
		st.refuse(v.Code, v.String())
		return
	}
	st.s.user = v.User
	st.s.superuser = v.Superuser
	if l := st.gate.Levels; l != nil {
		st.s.durability, st.s.releases = l.Of(st.s.clientID, v.User), l.OfRelease(st.s.clientID, v.User)
	}
	if st.banned("", v.User) {
		st.refuse(packet.Banned, "banned user")
		return
	}
	if w := st.s.request.Will; w != nil && st.gate.Rules != nil { // the process's own connections have no rules
		d := st.gate.Rules.Check(st.subject(), acl.Operation{Action: acl.Publish, Topic: w.Topic, QoS: w.QoS, Retain: w.Retain})
		if !d.Allowed() {
			st.refuse(packet.NotAuthorized, "will: "+d.Rule)
			return
		}
	}
	st.start()
}

// start asks the session manager for the session.
func (st *stage) start() {
	s, p, lim := st.s, st.s.request, st.env.Limits()
	s.expiry = 0
	var ask uint32
	switch {
	case p.Version == packet.V5 && p.Properties.Has(packet.PropSessionExpiry):
		ask = p.Properties.SessionExpiry
	case p.Version < packet.V5 && !p.CleanStart:
		ask = uint32(lim.V3Expiry / time.Second)
	}
	s.expiry = st.capExpiry(ask)
	s.askedLong = s.expiry != ask
	m := &cast.StartSession{Conn: st.conn, ClientID: s.clientID, Username: s.user, Version: p.Version, CleanStart: p.CleanStart,
		Expiry: s.expiry, ReceiveMaximum: 65535, MaxPacket: maxPacket(p), Will: p.Will, Durability: s.durability, Releases: s.releases}
	if p.Properties.Has(packet.PropReceiveMaximum) {
		m.ReceiveMaximum = p.Properties.ReceiveMaximum
	}
	if m.MaxPacket > 0 {
		if ack, _ := st.connack(true); !serializer.FitReason(ack, s.version, m.MaxPacket) {
			st.refuse(packet.PacketTooLarge, "the client takes no packet of the size of the CONNACK")
			return
		}
	}
	if p.Will != nil && p.Will.Properties.Has(packet.PropWillDelay) {
		m.WillDelay = min(p.Will.Properties.WillDelay, uint32(lim.MaxWillDelay/time.Second))
	}
	s.phase = starting
	st.pause()
	st.x.Cast(st.env.Pick(st.env.SM, s.clientID), m)
}

func (st *stage) capExpiry(ask uint32) uint32 {
	if longest := uint64(st.env.Limits().MaxExpiry / time.Second); uint64(ask) > longest {
		return uint32(longest)
	}
	return ask
}

// sessionStarted answers CONNECT [v3.1.1 MQTT-3.1.4-4 MQTT-3.2.0-1, v5 MQTT-3.1.4-5].
func (st *stage) sessionStarted(msg *cast.SessionStarted) {
	s := st.s
	s.session, s.epoch = msg.Session, msg.Epoch
	if s.gone {
		if msg.Session != nil {
			s.detached = false
			st.arrived()
			st.detach(s.reason, nil)
		}
		st.x.End()
		return
	}
	if s.phase != starting {
		return
	}
	if msg.Code.Failed() {
		s.phase = authenticating
		st.refuse(msg.Code, "session manager")
		return
	}
	ack, keepAlive := st.connack(msg.Present)
	s.phase, s.keepAlive, s.auth = connected, keepAlive, nil
	st.trace(trace.Event{Step: trace.Accepted, Packet: packet.CONNECT.String(), Reason: presence(msg.Present)})
	st.arrived()
	st.x.Set(timerConnect, 0)
	st.tellClient(st.settled())
	st.tellClient(cast.NewSend(s.version, ack))
	st.tellSession(&cast.Ready{Epoch: s.epoch})
	if e := st.env.Log.Info(); e.Enabled() {
		st.named(e).Str("username", brief(s.user)).Stringer("version", s.version).Bool("session_present", msg.Present).
			Uint16("keep_alive_seconds", s.keepAlive).Msg("client connected")
	}
	s.request = slim(s.request)
	st.unhold()
	st.unpause()
}

func presence(present bool) string {
	if present {
		return "session resumed"
	}
	return "new session"
}

// slim keeps of a CONNECT what a re-authentication will ask for: nothing of one that
// does not know any. One small object in the middle of what a wave of connections
// leaves behind would hold a page for each.
func slim(p *packet.Connect) *packet.Connect {
	if !p.Properties.Has(packet.PropAuthMethod) {
		return nil
	}
	return &packet.Connect{Version: p.Version, Username: p.Username, HasUsername: p.HasUsername, Properties: p.Properties}
}

// settled tells the client actor what CONNECT settled.
func (st *stage) settled() *cast.Connected {
	s, p, lim := st.s, st.s.request, st.env.Limits()
	c := &cast.Connected{Version: s.version, ClientID: s.clientID, Session: s.session, MaxPacket: maxPacket(p),
		KeepAlive: int64(float64(s.keepAlive) * lim.KeepAliveFactor * float64(time.Second))}
	if p.Properties.Has(packet.PropTopicAliasMaximum) {
		c.AliasMax = uint16(min(int(p.Properties.TopicAliasMaximum), lim.AliasOut))
	}
	return c
}

// connack is the CONNACK that accepts, and the keep alive that holds from then
// on; in 5.0 it says what the server offers where that is less than everything
// [v5 3.2.2.3].
func (st *stage) connack(present bool) (ack *packet.Connack, keepAlive uint16) {
	s, lim, p := st.s, st.env.Limits(), st.s.request
	ack = &packet.Connack{SessionPresent: present && p.Version >= packet.V311} // 3.1 has no such flag
	keepAlive = p.KeepAlive
	if p.Version < packet.V5 {
		return ack, keepAlive
	}
	q := new(packet.Properties)
	if s.askedLong {
		q.Set(packet.PropSessionExpiry).SessionExpiry = s.expiry
	}
	q.Set(packet.PropReceiveMaximum).ReceiveMaximum = uint16(lim.ReceiveMaximum)
	if lim.MaxQoS < 2 {
		q.Set(packet.PropMaximumQoS).MaximumQoS = lim.MaxQoS
	}
	offer := func(id packet.Property, on bool, field *uint8) {
		if !on {
			q.Set(id)
			*field = 0
		}
	}
	offer(packet.PropRetainAvailable, lim.Retain, &q.RetainAvailable)
	offer(packet.PropWildcardAvailable, lim.Wildcard, &q.WildcardAvailable)
	offer(packet.PropSubscriptionIDAvailable, lim.SubscriptionIDs, &q.SubscriptionIDAvailable)
	offer(packet.PropSharedAvailable, lim.Shared, &q.SharedAvailable)
	q.Set(packet.PropMaximumPacketSize).MaximumPacketSize = uint32(lim.MaxPacketSize)
	if lim.AliasIn > 0 {
		q.Set(packet.PropTopicAliasMaximum).TopicAliasMaximum = uint16(lim.AliasIn)
	}
	if s.assigned {
		q.Set(packet.PropAssignedClientID).AssignedClientID = s.clientID
	}
	if longest := lim.MaxKeepAlive; longest > 0 && (p.KeepAlive == 0 || time.Duration(p.KeepAlive)*time.Second > longest) {
		keepAlive = uint16(longest / time.Second)
		q.Set(packet.PropServerKeepAlive).ServerKeepAlive = keepAlive
	}
	if p.Properties.Has(packet.PropAuthMethod) {
		q.Set(packet.PropAuthMethod).AuthMethod = p.Properties.AuthMethod
		if s.auth != nil && len(s.auth.data) > 0 {
			q.Set(packet.PropAuthData).AuthData = s.auth.data
		}
	}
	ack.Properties = q
	st.tellDurability(ack)
	return ack, keepAlive
}

// propDurability is the user property by which a client asks, in CONNECT, with
// any value, and is told, in CONNACK, what its acknowledgements wait for.
const propDurability = "emqttd-durability"

// tellDurability adds the level to CONNACK, if the client has asked for it and
// takes packets of that size [v5 MQTT-3.2.2-20].
func (st *stage) tellDurability(ack *packet.Connack) {
	p := st.s.request
	asks := func(u packet.UserProperty) bool { return u.Key == propDurability }
	if !p.Properties.Has(packet.PropUserProperty) || !slices.ContainsFunc(p.Properties.User, asks) {
		return
	}
	q := ack.Properties
	q.Set(packet.PropUserProperty).User = []packet.UserProperty{{Key: propDurability, Value: st.levelName()}}
	n, err := serializer.Size(ack, packet.V5)
	if most := maxPacket(p); err != nil || most > 0 && uint32(n) > most {
		q.Clear(packet.PropUserProperty)
		q.User = nil
	}
}

// levelName is the client's level as it is shown.
func (st *stage) levelName() string {
	if st.gate.Levels == nil {
		return st.s.durability.String()
	}
	return st.gate.Levels.Name(st.s.durability)
}

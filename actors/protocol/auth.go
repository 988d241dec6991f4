// SPDX-License-Identifier: Apache-2.0

package protocol

import (
	"emqttd/actors/access"
	"emqttd/actors/metrics"
	"emqttd/protocol/packet"
)

// startExchange begins enhanced authentication [v5 4.12].
func (st *stage) startExchange(r *access.Request) {
	p := st.s.request.Properties
	exchange, turn := st.gate.Enhanced.Start(p.AuthMethod, r, p.AuthData)
	st.turn(exchange, turn)
}

// authPacket goes on with an exchange, or begins a re-authentication
// [v5 MQTT-4.12.0-4 to -6, MQTT-4.12.1-1 -2].
func (st *stage) authPacket(p *packet.Auth) {
	s := st.s
	if s.phase == fresh {
		st.fault(packet.FaultNotConnected, metrics.CloseFault)
		return
	}
	var own *packet.Properties
	if s.request != nil {
		own = s.request.Properties
	}
	switch {
	case !p.Properties.Has(packet.PropAuthMethod):
		st.fault(packet.FaultAuthMethodMissing, metrics.CloseFault)
	case !own.Has(packet.PropAuthMethod) || p.Properties.AuthMethod != own.AuthMethod:
		st.fault(packet.FaultAuthUnexpected, metrics.CloseFault)
	case p.Code == packet.ReAuthenticate && s.phase == connected && !s.exchanging():
		s.auth = &enhanced{again: true}
		exchange, turn := st.gate.Enhanced.Restart(p.Properties.AuthMethod, own.AuthMethod, s.user, st.authRequest(), p.Properties.AuthData)
		st.turn(exchange, turn)
	case p.Code == packet.ContinueAuthentication && s.exchanging():
		st.turn(s.auth.exchange.Next(p.Properties.AuthData))
	default:
		st.fault(packet.FaultAuthUnexpected, metrics.CloseFault)
	}
}

// turn sends what an exchange wants sent.
func (st *stage) turn(exchange access.Exchange, t access.Turn) {
	s := st.s
	again := s.auth != nil && s.auth.again
	if !t.Done {
		s.auth = &enhanced{exchange: exchange, again: again}
		if !again {
			s.phase = authenticating
		}
		st.send(st.auth(packet.ContinueAuthentication, t.Data))
		return
	}
	s.auth = nil
	if again {
		if t.Answer.Outcome != access.OK {
			st.shut(t.Answer.Code, metrics.CloseRefused, t.Answer.Why)
			return
		}
		st.send(st.auth(packet.Success, t.Data))
		return
	}
	s.auth = &enhanced{data: t.Data}
	st.decided(access.Verdict{Answer: t.Answer})
}

func (st *stage) auth(code packet.ReasonCode, data []byte) *packet.Auth {
	q := new(packet.Properties)
	q.Set(packet.PropAuthMethod).AuthMethod = st.s.request.Properties.AuthMethod
	if len(data) > 0 {
		q.Set(packet.PropAuthData).AuthData = data
	}
	return &packet.Auth{Code: code, Properties: q}
}

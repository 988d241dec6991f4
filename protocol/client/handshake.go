// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"errors"
	"io"
	"slices"
	"time"

	"emqttd/protocol/packet"
	"emqttd/protocol/parser"
)

// handshake sends CONNECT and receives until CONNACK.
func (l *link) handshake(ctx context.Context, cleanStart bool) error {
	connect, err := l.connectPacket(cleanStart)
	if err != nil {
		return err
	}
	if err := l.conn.Send(connect); err != nil {
		return handshakeError(ctx, err)
	}
	for {
		p, err := l.conn.Receive(ctx)
		if err != nil {
			return handshakeError(ctx, err)
		}
		switch m := p.(type) {
		case *packet.Auth:
			if err := l.answerAuth(m); err != nil {
				return err
			}
		case *packet.Connack:
			return l.accepted(connect, m)
		case *packet.Disconnect:
			return &DisconnectError{Disconnect: m}
		default: // [v3.1.1 MQTT-3.2.0-1, v5 MQTT-3.2.0-1]
			return &ProtocolError{Fault: packet.FaultNotConnected, Type: p.Type()}
		}
	}
}

// connectPacket is the configured CONNECT with what only the client knows.
func (l *link) connectPacket(cleanStart bool) (*packet.Connect, error) {
	connect := l.c.cfg.Connect
	connect.CleanStart = cleanStart
	connect.ClientID = l.c.ClientID()
	a := l.c.cfg.Auth
	if a == nil {
		return &connect, nil
	}
	data, err := a.Begin()
	if err != nil {
		return nil, err
	}
	var p packet.Properties
	if connect.Properties != nil {
		p = *connect.Properties
	}
	connect.Properties = withAuth(&p, a.Method(), data)
	return &connect, nil
}

func withAuth(p *packet.Properties, method string, data []byte) *packet.Properties {
	p.Set(packet.PropAuthMethod).AuthMethod = method
	if data != nil {
		p.Set(packet.PropAuthData).AuthData = slices.Clone(data)
	}
	return p
}

// answerAuth answers a challenge before CONNACK.
func (l *link) answerAuth(m *packet.Auth) error {
	answer, err := l.c.nextAuth(m)
	if err != nil {
		return err
	}
	return l.conn.Send(answer)
}

// accepted judges the CONNACK and takes over what it says.
func (l *link) accepted(connect *packet.Connect, m *packet.Connack) error {
	if m.Code != packet.Success {
		return &RefusedError{Version: l.version, Connack: m}
	}
	if m.SessionPresent && connect.CleanStart && l.version > packet.V31 { // [v3.1.1 MQTT-3.2.2-1, v5 MQTT-3.2.2-2]
		return &ProtocolError{Fault: packet.FaultConnectFlags, Type: packet.CONNACK}
	}
	if l.c.cfg.Auth != nil {
		var data []byte
		if m.Properties.Has(packet.PropAuthData) {
			data = m.Properties.AuthData
		}
		if err := l.c.cfg.Auth.Done(data); err != nil {
			return err
		}
	}
	l.connack, l.lastSent = m, time.Now()
	l.limits = limitsOf(connect, m)
	l.quota = l.limits.ReceiveMaximum
	l.aliasMax = min(l.c.cfg.TopicAliases, l.limits.TopicAliasMaximum)
	return nil
}

func handshakeError(ctx context.Context, err error) error {
	if bad, ok := errors.AsType[*parser.Error](err); ok {
		return &ProtocolError{Fault: bad.Fault, Type: bad.Type}
	}
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, io.EOF):
		return lost(io.ErrUnexpectedEOF)
	}
	return lost(err)
}

// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"

	"emqttd/protocol/packet"
)

// nextAuth answers a challenge of the server [v5 MQTT-4.12.0-3].
func (c *Client) nextAuth(m *packet.Auth) (*packet.Auth, error) {
	a := c.cfg.Auth
	if a == nil || m.Code != packet.ContinueAuthentication || m.Properties.Has(packet.PropAuthMethod) && m.Properties.AuthMethod != a.Method() {
		return nil, &ProtocolError{Fault: packet.FaultAuthUnexpected, Type: packet.AUTH}
	}
	data, err := a.Next(authData(m.Properties))
	if err != nil {
		return nil, err
	}
	return &packet.Auth{Code: packet.ContinueAuthentication, Properties: withAuth(new(packet.Properties), a.Method(), data)}, nil
}

func authData(p *packet.Properties) []byte {
	if p.Has(packet.PropAuthData) {
		return p.AuthData
	}
	return nil
}

// Reauthenticate goes through the exchange of Config.Auth again on the present
// connection [v5 4.12.1]. A server that is not satisfied disconnects.
func (c *Client) Reauthenticate(ctx context.Context) error {
	a := c.cfg.Auth
	if a == nil { // [v5 MQTT-4.12.1-1]
		return &ProtocolError{Fault: packet.FaultAuthMethodMissing, Type: packet.AUTH}
	}
	data, err := a.Begin()
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	c.mu.Lock()
	l := c.link
	switch {
	case l == nil:
		err = ErrNotConnected
	case l.reauth != nil:
		err = ErrBusy
	default:
		err = l.append(&packet.Auth{Code: packet.ReAuthenticate, Properties: withAuth(new(packet.Properties), a.Method(), data)})
	}
	if err == nil {
		l.reauth = ended
	}
	c.mu.Unlock()
	if err != nil {
		return err
	}
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
		return ctx.Err() // the exchange goes on; another cannot begin before it ends
	}
}

// receivedAuth goes on with a re-authentication.
func (c *Client) receivedAuth(l *link, m *packet.Auth) error {
	c.mu.Lock()
	ended := l.reauth
	c.mu.Unlock()
	if ended == nil {
		return &ProtocolError{Fault: packet.FaultAuthUnexpected, Type: packet.AUTH}
	}
	if m.Code == packet.Success {
		err := c.cfg.Auth.Done(authData(m.Properties))
		c.mu.Lock()
		l.reauth = nil
		c.mu.Unlock()
		ended <- err
		return err
	}
	answer, err := c.nextAuth(m)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return l.answer(answer)
}

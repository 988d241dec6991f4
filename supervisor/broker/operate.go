// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"emqttd/actors/access"
	"emqttd/actors/access/acl"
	"emqttd/actors/cast"
	"emqttd/actors/metrics"
	"emqttd/actors/session"
	"emqttd/actors/sm"
	"emqttd/listeners/api"
	"emqttd/protocol/client"
	"emqttd/protocol/message"
	"emqttd/protocol/packet"
	"emqttd/protocol/topic"
	"emqttd/supervisor"
	"emqttd/supervisor/cell"
)

// What an operator does to clients, sessions and messages (api.Broker).

// Kick implements api.Broker: 0x98 in 5.0; the session stays as its expiry says.
func (b inspector) Kick(_ context.Context, id string) error {
	c, ok := b.directory.Client(id)
	if !ok {
		return fmt.Errorf("client %q is not connected: %w", id, api.ErrNotFound)
	}
	kick(c)
	return nil
}

func kick(c *cast.Client) {
	c.Conn.Protocol.Push(&cast.Kick{Code: packet.AdministrativeAction, Reason: metrics.CloseKicked})
}

// EndSession implements api.Broker.
func (b inspector) EndSession(_ context.Context, id string) error {
	if _, ok := b.directory.Session(id); !ok {
		return fmt.Errorf("session %q: %w", id, api.ErrNotFound)
	}
	sm.Kick(b.env, id)
	return nil
}

// Subscribe implements api.Broker.
func (b inspector) Subscribe(ctx context.Context, id string, in api.NewSubscription) (*api.Subscription, error) {
	lim := b.env.Limits()
	share, shared, err := topic.ParseShare(in.Filter)
	filter := in.Filter
	if shared && err == nil {
		filter = share.Filter
	}
	if err == nil {
		err = topic.ValidFilter(filter, lim.Topics)
	}
	if err != nil || !packet.ValidText([]byte(in.Filter)) {
		return nil, api.Fail(422, "filter %q: %v", in.Filter, cmp.Or(err, errors.New("no valid UTF-8")))
	}
	if shared && in.NoLocal {
		return nil, api.Fail(422, "a shared subscription cannot be no_local") // [v5 MQTT-3.8.3-4]
	}
	sub := packet.Subscription{Filter: in.Filter, QoS: packet.QoS(in.QoS), NoLocal: in.NoLocal, RetainAsPublished: in.RetainAsPublished,
		RetainHandling: uint8(in.RetainHandling)}
	code, err := b.change(ctx, id, func(c *cell.Cell, done func([]packet.ReasonCode)) { session.Subscribe(c, done, sub) })
	switch {
	case err != nil:
		return nil, err
	case code.Failed():
		return nil, api.Fail(409, "the session refuses: %s", code)
	}
	return &api.Subscription{ClientID: id, Filter: in.Filter, QoS: int(code), NoLocal: in.NoLocal, RetainAsPublished: in.RetainAsPublished,
		Group: share.Group}, nil
}

// Unsubscribe implements api.Broker.
func (b inspector) Unsubscribe(ctx context.Context, id, filter string) error {
	code, err := b.change(ctx, id, func(c *cell.Cell, done func([]packet.ReasonCode)) { session.Unsubscribe(c, done, filter) })
	if err == nil && code == packet.NoSubscriptionExisted {
		err = fmt.Errorf("%q has no subscription %q: %w", id, filter, api.ErrNotFound)
	}
	return err
}

// change asks the session of a client id and waits for its answer.
func (b inspector) change(ctx context.Context, id string, ask func(*cell.Cell, func([]packet.ReasonCode))) (packet.ReasonCode, error) {
	s, ok := b.directory.Session(id)
	if !ok {
		return 0, fmt.Errorf("session %q: %w", id, api.ErrNotFound)
	}
	answer := make(chan []packet.ReasonCode, 1)
	ask(s.Session, func(codes []packet.ReasonCode) { answer <- codes })
	select {
	case codes := <-answer:
		if codes == nil {
			return 0, fmt.Errorf("session %q: %w", id, api.ErrNotFound)
		}
		return codes[0], nil
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

// Publish implements api.Broker.
func (b inspector) Publish(ctx context.Context, in api.NewMessage) (api.Published, error) {
	if err := topic.ValidName(in.Topic, b.env.Limits().Topics); err != nil || !packet.ValidText([]byte(in.Topic)) {
		return api.Published{}, api.Fail(422, "topic %q is no topic name: %v", in.Topic, cmp.Or(err, errors.New("no valid UTF-8")))
	}
	m := &client.Message{Topic: in.Topic, Payload: in.Payload, QoS: packet.QoS(in.QoS), Retain: in.Retain, Properties: propertiesOf(in)}
	r, err := b.publish(ctx, m)
	var code packet.ReasonCode
	if errors.As(err, &code) {
		return api.Published{}, api.Fail(409, "the broker does not take it: %s", code)
	}
	return api.Published{Code: int(r.Code), Reason: r.Code.String()}, err
}

func propertiesOf(in api.NewMessage) *packet.Properties {
	p := new(packet.Properties)
	if in.Expiry > 0 {
		p.Set(packet.PropMessageExpiry).MessageExpiry = in.Expiry
	}
	if in.ContentType != "" {
		p.Set(packet.PropContentType).ContentType = in.ContentType
	}
	if in.ResponseTopic != "" {
		p.Set(packet.PropResponseTopic).ResponseTopic = in.ResponseTopic
	}
	if len(in.CorrelationData) > 0 {
		p.Set(packet.PropCorrelationData).CorrelationData = in.CorrelationData
	}
	for _, u := range in.UserProperties {
		p.User = append(p.User, packet.UserProperty{Key: u.Key, Value: u.Value})
	}
	return p
}

// ForgetRetained implements api.Broker. Each message is deleted as a client would
// do it, so that it is gone for good when this returns.
func (b inspector) ForgetRetained(ctx context.Context, filter string) (n int, err error) {
	if err := topic.ValidFilter(filter, b.env.Limits().Topics); err != nil {
		return 0, api.Fail(400, "?filter: %v", err)
	}
	var names []string
	b.retained(filter, func(m *message.Message) bool {
		names = append(names, m.Topic)
		return len(names) < b.config().Dashboard.MaxScan
	})
	if len(names) == 0 {
		return 0, nil
	}
	c, err := b.local5(ctx)
	if err != nil {
		return 0, err
	}
	defer func() { _ = c.Close() }()
	for _, name := range names {
		if _, err := c.Publish(ctx, &client.Message{Topic: name, QoS: packet.QoS1, Retain: true}); err != nil {
			return n, fmt.Errorf("after %d messages: %w", n, err)
		}
		n++
	}
	return n, nil
}

// Bans implements api.Broker.
func (b inspector) Bans(q api.Query) (api.Page[api.Ban], error) {
	list := b.gates.Load().bans.List(time.Now())
	found := api.Pick(func(yield func(access.Ban) bool) {
		for _, ban := range list {
			if !yield(ban) {
				return
			}
		}
	}, q, func(ban access.Ban) bool {
		return q.Is("kind", string(ban.Kind)) && q.Is("by", ban.By) && q.Contains(ban.Value, ban.Reason, ban.By)
	}, func(x, y access.Ban) bool {
		c := 0
		switch q.Sort {
		case "at":
			c = x.At.Compare(y.At)
		case "until":
			c = x.Until.Compare(y.Until)
		}
		return cmp.Or(c, strings.Compare(x.Value, y.Value), strings.Compare(string(x.Kind), string(y.Kind))) < 0
	})
	return api.Convert(found, banOf), nil
}

func banOf(b access.Ban) api.Ban {
	out := api.Ban{Kind: string(b.Kind), Value: b.Value, At: b.At.UTC(), By: b.By, Reason: b.Reason}
	if !b.Until.IsZero() {
		until := b.Until.UTC()
		out.Until = &until
	}
	return out
}

// AddBan implements api.Broker. Whoever is banned is disconnected.
func (b inspector) AddBan(in api.Ban) (api.Ban, int, error) {
	ban := access.Ban{Kind: access.BanKind(in.Kind), Value: in.Value, At: in.At, By: in.By, Reason: in.Reason}
	if in.Until != nil {
		ban.Until = *in.Until
	}
	if ban.Kind == access.BanAddress {
		if p, err := acl.ParseNetwork(ban.Value); err == nil {
			ban.Value = p.String() // as the list will have it
		}
	}
	bans := b.gates.Load().bans
	if err := bans.Add(time.Now(), ban); err != nil {
		return api.Ban{}, 0, api.Fail(422, "%v", err)
	}
	if err := b.saveBans(); err != nil {
		return api.Ban{}, 0, err
	}
	kicked := 0
	for c := range b.directory.Clients().All {
		if _, banned := bans.Check(time.Now(), c.ClientID, c.Username, c.Peer.Addr()); banned {
			kick(c)
			kicked++
		}
	}
	return banOf(ban), kicked, nil
}

// DeleteBan implements api.Broker.
func (b inspector) DeleteBan(kind, value string) error {
	if !b.gates.Load().bans.Delete(access.BanKind(kind), value) {
		return fmt.Errorf("ban of %s %q: %w", kind, value, api.ErrNotFound)
	}
	return b.saveBans()
}

// Actors implements api.Broker.
func (b inspector) Actors(max int) api.Actor { return nodeOf(b.Tree(max)) }

// ActorChildren implements api.Broker.
func (b inspector) ActorChildren(name string, q api.Query) (api.Page[api.Actor], error) {
	s := b.root.Find(name)
	if s == nil {
		return api.Page[api.Actor]{}, fmt.Errorf("supervisor %q: %w", name, api.ErrNotFound)
	}
	page, total := s.Page(q.Offset(), q.Limit)
	out := api.Page[api.Actor]{Items: []api.Actor{}, Total: total, Page: q.Page, Limit: q.Limit}
	for _, i := range page {
		a := actorOf(i)
		a.Supervisor = b.root.Find(i.Name) != nil
		out.Items = append(out.Items, a)
	}
	return out, nil
}

func nodeOf(n supervisor.Node) api.Actor {
	a := actorOf(n.Info)
	a.Supervisor, a.Strategy, a.MaxRestarts, a.Within = n.Strategy != "", n.Strategy, n.MaxRestarts, n.Within.Seconds()
	a.Used, a.More = n.Used, n.More
	for _, c := range n.Children { // as deep as the boot list
		a.Children = append(a.Children, nodeOf(c))
	}
	return a
}

func actorOf(i cell.Info) api.Actor {
	return api.Actor{Name: i.Name, Kind: i.Kind, Module: i.Module, State: i.Life.String(), Mailbox: i.Pending, Restarts: i.Restarts,
		LastReason: i.Reason, LastMessage: i.Message, LastStack: i.Stack, LastAt: at(i.At), Poison: i.Poison}
}

// StopActor implements api.Broker.
func (b inspector) StopActor(name string) error {
	return b.actor(name, func(c *cell.Cell) { c.Stop() })
}

// CrashActor implements api.Broker.
func (b inspector) CrashActor(name string) error {
	return b.actor(name, func(c *cell.Cell) { c.Push(&cell.Bomb{}) })
}

func (b inspector) actor(name string, f func(*cell.Cell)) error {
	if !b.config().Chaos.Enabled {
		return api.Fail(403, "actors are stopped and crashed on purpose where chaos.enabled is true")
	}
	c := b.findActor(name)
	if c == nil {
		return fmt.Errorf("actor %q: %w", name, api.ErrNotFound)
	}
	f(c)
	return nil
}

// findActor finds a service, a session's actor, or one of a connected client's.
func (b inspector) findActor(name string) *cell.Cell {
	if id, ok := strings.CutPrefix(name, "session/"); ok {
		if s, ok := b.directory.Session(id); ok {
			return s.Session
		}
		return nil
	}
	var found *cell.Cell
	b.root.Services(func(c *cell.Cell) bool {
		if c.Name() == name {
			found = c
		}
		return found == nil
	})
	if found != nil {
		return found
	}
	for c := range b.directory.Clients().All {
		for _, a := range []*cell.Cell{&c.Conn.Loop, &c.Conn.Client, &c.Conn.Protocol} {
			if a.Name() == name {
				return a
			}
		}
	}
	return nil
}

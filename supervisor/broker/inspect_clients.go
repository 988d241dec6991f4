// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"strconv"
	"time"

	"emqttd/actors/cast"
	"emqttd/actors/session"
	"emqttd/actors/wsclient"
	"emqttd/actors/wsloop"
	"emqttd/listeners/api"
	"emqttd/protocol/packet"
	"emqttd/supervisor/cell"
)

// Clients implements api.Broker. A page in the order of client ids without a
// filter costs what it shows, however many clients there are.
func (b inspector) Clients(ctx context.Context, q api.Query) (api.Page[api.Client], error) {
	find := b.findClients
	if measure := liveOrder[q.Sort]; measure != nil {
		find = func(q api.Query) (api.Page[*cast.Client], error) { return b.measuredClients(ctx, q, measure) }
	}
	found, err := find(q)
	if err != nil {
		return api.Page[api.Client]{}, err
	}
	rows := make([]api.Client, len(found.Items))
	for i, c := range found.Items {
		rows[i] = clientOf(c)
	}
	if err := b.figures(ctx, found.Items, rows); err != nil {
		return api.Page[api.Client]{}, err
	}
	return api.Page[api.Client]{Items: rows, Total: found.Total, Page: found.Page, Limit: found.Limit, Truncated: found.Truncated}, nil
}

func (b inspector) findClients(q api.Query) (api.Page[*cast.Client], error) {
	all := b.directory.Clients()
	if len(q.Filters) == 0 && q.Search == "" && q.Sort == "client_id" {
		return straight(all.Len(), q, all.At), nil
	}
	if id, one := q.Filters["client_id"]; one {
		c, ok := b.directory.Client(id)
		return api.Pick(func(yield func(*cast.Client) bool) {
			if ok {
				yield(c)
			}
		}, q, clientFilter(q), clientOrder[q.Sort]), nil
	}
	if a, given := q.Filters["address"]; given {
		if _, err := netip.ParseAddr(a); err != nil {
			return api.Page[*cast.Client]{}, api.Fail(400, "?address: %v", err)
		}
	}
	return api.Pick(all.All, q, clientFilter(q), clientOrder[q.Sort]), nil
}

// straight is a page of n entries in the order they stand in.
func straight[T any](n int, q api.Query, at func(int) T) api.Page[T] {
	p := api.Page[T]{Items: []T{}, Total: n, Page: q.Page, Limit: q.Limit}
	for i := q.Offset(); i < min(n, q.Offset()+q.Limit); i++ {
		j := i
		if q.Desc {
			j = n - 1 - i
		}
		p.Items = append(p.Items, at(j))
	}
	return p
}

// clientOrder is what clients can be sorted by; the client id decides between
// equals.
var clientOrder = map[string]func(a, b *cast.Client) bool{
	"client_id":          byClient(func(a, b *cast.Client) int { return 0 }),
	"username":           byClient(func(a, b *cast.Client) int { return cmp.Compare(a.Username, b.Username) }),
	"peer":               byClient(func(a, b *cast.Client) int { return a.Peer.Compare(b.Peer) }),
	"listener":           byClient(func(a, b *cast.Client) int { return cmp.Compare(a.Conn.Listener.Name, b.Conn.Listener.Name) }),
	"protocol":           byClient(func(a, b *cast.Client) int { return cmp.Compare(a.Version, b.Version) }),
	"connected_at":       byClient(func(a, b *cast.Client) int { return cmp.Compare(a.ConnectedAt, b.ConnectedAt) }),
	"keep_alive_seconds": byClient(func(a, b *cast.Client) int { return cmp.Compare(a.KeepAlive, b.KeepAlive) }),
}

func byClient(compare func(a, b *cast.Client) int) func(a, b *cast.Client) bool {
	return func(a, b *cast.Client) bool { return cmp.Or(compare(a, b), cmp.Compare(a.ClientID, b.ClientID)) < 0 }
}

func clientFilter(q api.Query) func(*cast.Client) bool {
	return func(c *cast.Client) bool {
		if len(q.Filters) > 0 && !(q.Is("username", c.Username) && q.Is("listener", c.Conn.Listener.Name) &&
			q.Is("transport", c.Conn.Listener.Transport) && q.Is("protocol", c.Version.String()) &&
			q.Is("clean_start", strconv.FormatBool(c.CleanStart)) && isAddress(q, c.Peer)) {
			return false
		}
		return q.Search == "" || q.Contains(c.ClientID, c.Username) || q.Contains(peerText(c.Peer))
	}
}

func isAddress(q api.Query, peer netip.AddrPort) bool {
	want, given := q.Filters["address"]
	return !given || want == peer.Addr().String()
}

func peerText(p netip.AddrPort) string {
	if !p.IsValid() {
		return ""
	}
	return p.String()
}

// clientOf is what the directory knows of a client.
func clientOf(c *cast.Client) api.Client {
	return api.Client{ClientID: c.ClientID, Username: c.Username, Peer: peerText(c.Peer), Listener: c.Conn.Listener.Name,
		Transport: c.Conn.Listener.Transport, Protocol: versionText(c.Version), CleanStart: c.CleanStart, KeepAlive: int(c.KeepAlive),
		Expiry: c.Expiry, Durability: c.Durability, ConnectedAt: *at(c.ConnectedAt), Conn: c.Conn.Name(), Loop: int(c.Conn.LoopIndex), Figures: new(api.Figures)}
}

func versionText(v packet.Version) string { return v.String() }

// figures fills in what changes: of the connections, each on its loop, and of
// their sessions.
func (b inspector) figures(ctx context.Context, clients []*cast.Client, rows []api.Client) error {
	conns, sessions := make([]*cell.Cell, len(clients)), make([]*cell.Cell, len(clients))
	for i, c := range clients {
		conns[i], sessions[i] = &c.Conn.Client, c.Session
	}
	err := onGroups(ctx, conns, func(i int) { connFigures(clients[i].Conn, rows[i].Figures) })
	if err != nil {
		return err
	}
	return onGroups(ctx, sessions, func(i int) {
		f, v := rows[i].Figures, session.Look(sessions[i])
		f.Subscriptions, f.Inflight, f.MaxInflight, f.Queued, f.QueuedBytes = v.Subscriptions, v.Inflight, v.Window, v.Queued, int64(v.QueuedBytes)
		f.AwaitingRel, f.Congested = v.AwaitingRel, v.Congested
	})
}

// connFigures runs on the connection's loop.
func connFigures(c *cast.Conn, f *api.Figures) {
	v := wsclient.Look(c)
	f.LastRead = time.Unix(0, c.LastRead.Load()).UTC()
	f.BytesIn, f.BytesOut, f.OutBuffer, f.Paused = c.BytesIn, c.BytesOut, c.Pending.Load(), c.Unread.Load()
	f.PacketsIn, f.PacketsOut, f.MessagesIn, f.MessagesOut = v.PacketsIn, v.PacketsOut, v.MessagesIn, v.MessagesOut
	f.ParserStage, f.ParserBuffered, f.ParserWants = wsloop.Continuation(c)
}

// Client implements api.Broker.
func (b inspector) Client(ctx context.Context, id string) (*api.ClientDetail, error) {
	c, ok := b.directory.Client(id)
	if !ok {
		return nil, fmt.Errorf("client %q is not connected: %w", id, api.ErrNotFound)
	}
	rows := []api.Client{clientOf(c)}
	if err := b.figures(ctx, []*cast.Client{c}, rows); err != nil {
		return nil, err
	}
	d := &api.ClientDetail{Client: rows[0], Subscriptions: []api.Subscription{}, Inflight: []api.Flight{}, Actors: []api.Actor{}}
	var err error
	if d.Session, err = b.Session(ctx, id); err != nil && ctx.Err() != nil {
		return nil, err
	}
	actors := []*cell.Cell{&c.Conn.Loop, &c.Conn.Client, &c.Conn.Protocol, c.Session}
	for _, a := range actors {
		d.Actors = append(d.Actors, actorOf(a.Info()))
	}
	return d, onGroups(ctx, actors[3:], func(int) { b.inside(c.Session, d) })
}

// maxInside bounds what a client's page shows of its subscriptions and of what is
// in flight.
const maxInside = 1000

// inside runs on the session's group.
func (b inspector) inside(s *cell.Cell, d *api.ClientDetail) {
	subs, flights := session.LookInside(s, maxInside)
	for _, sub := range subs {
		d.Subscriptions = append(d.Subscriptions, subscriptionOf(sub, ""))
	}
	for _, f := range flights {
		d.Inflight = append(d.Inflight, api.Flight{PacketID: int(f.ID), Topic: f.Message.Topic, QoS: int(f.QoS), Bytes: len(f.Message.Payload),
			Released: f.Released, At: *at(max(1, f.Message.At))})
	}
}

// Sessions implements api.Broker.
func (b inspector) Sessions(ctx context.Context, q api.Query) (api.Page[api.Session], error) {
	all := b.directory.Sessions()
	var found api.Page[*cast.SessionOpened]
	if len(q.Filters) == 0 && q.Search == "" && q.Sort == "client_id" {
		found = straight(all.Len(), q, all.At)
	} else {
		order := func(a, b *cast.SessionOpened) bool { return a.ClientID < b.ClientID }
		if q.Sort == "created_at" {
			order = func(a, b *cast.SessionOpened) bool {
				return cmp.Or(cmp.Compare(a.CreatedAt, b.CreatedAt), cmp.Compare(a.ClientID, b.ClientID)) < 0
			}
		}
		found = api.Pick(all.All, q, func(s *cast.SessionOpened) bool {
			if _, asked := q.Filters["connected"]; asked {
				_, connected := b.directory.Client(s.ClientID)
				if !q.Is("connected", strconv.FormatBool(connected)) {
					return false
				}
			}
			return q.Is("client_id", s.ClientID) && q.Contains(s.ClientID)
		}, order)
	}
	rows, err := b.lookAt(ctx, found.Items)
	return api.Page[api.Session]{Items: rows, Total: found.Total, Page: found.Page, Limit: found.Limit, Truncated: found.Truncated}, err
}

// Session implements api.Broker.
func (b inspector) Session(ctx context.Context, id string) (*api.Session, error) {
	s, ok := b.directory.Session(id)
	if !ok {
		return nil, fmt.Errorf("session %q: %w", id, api.ErrNotFound)
	}
	rows, err := b.lookAt(ctx, []*cast.SessionOpened{s})
	if err != nil {
		return nil, err
	}
	return &rows[0], nil
}

func (b inspector) lookAt(ctx context.Context, sessions []*cast.SessionOpened) ([]api.Session, error) {
	cells, rows := make([]*cell.Cell, len(sessions)), make([]api.Session, len(sessions))
	for i, s := range sessions {
		cells[i] = s.Session
		rows[i] = api.Session{ClientID: s.ClientID, CreatedAt: *at(s.CreatedAt), Number: s.Number}
	}
	return rows, onGroups(ctx, cells, func(i int) { fillSession(&rows[i], cells[i]) })
}

// fillSession runs on the session's group.
func fillSession(r *api.Session, c *cell.Cell) {
	v := session.Look(c)
	r.Connected, r.Durable, r.Username, r.Protocol, r.Expiry = v.Connected, v.Durable, v.Username, versionText(v.Version), v.Expiry
	r.DisconnectedAt, r.Subscriptions, r.Inflight, r.MaxInflight = at(v.Gone), v.Subscriptions, v.Inflight, v.Window
	r.Queued, r.QueuedBytes, r.AwaitingRel, r.Epoch, r.Mailbox = v.Queued, int64(v.QueuedBytes), v.AwaitingRel, v.Epoch, c.Pending()
	if w := v.Will; w != nil {
		r.Will = &api.Will{Topic: w.Topic, QoS: int(w.QoS), Retain: w.Retain, Bytes: len(w.Payload), Delay: v.WillDelay}
	}
}

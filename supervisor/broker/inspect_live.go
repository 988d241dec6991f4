// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"cmp"
	"context"

	"emqttd/actors/cast"
	"emqttd/actors/session"
	"emqttd/actors/wsclient"
	"emqttd/listeners/api"
	"emqttd/supervisor/cell"
)

// measure reads one figure of a client, on the group of the connection or, with
// session set, on that of the session.
type measure struct {
	session bool
	of      func(c *cast.Client) int64
}

// liveOrder is what clients can be sorted by that only their actors know.
var liveOrder = map[string]*measure{
	"received_bytes":    {of: func(c *cast.Client) int64 { return c.Conn.BytesIn }},
	"sent_bytes":        {of: func(c *cast.Client) int64 { return c.Conn.BytesOut }},
	"received_messages": {of: func(c *cast.Client) int64 { return wsclient.Look(c.Conn).MessagesIn }},
	"sent_messages":     {of: func(c *cast.Client) int64 { return wsclient.Look(c.Conn).MessagesOut }},
	"out_buffer_bytes":  {of: func(c *cast.Client) int64 { return c.Conn.Pending.Load() }},
	"last_read_at":      {of: func(c *cast.Client) int64 { return c.Conn.LastRead.Load() }},
	"subscriptions":     {session: true, of: func(c *cast.Client) int64 { return int64(session.Look(c.Session).Subscriptions) }},
	"inflight":          {session: true, of: func(c *cast.Client) int64 { return int64(session.Look(c.Session).Inflight) }},
	"queued":            {session: true, of: func(c *cast.Client) int64 { return int64(session.Look(c.Session).Queued) }},
	"queued_bytes":      {session: true, of: func(c *cast.Client) int64 { return int64(session.Look(c.Session).QueuedBytes) }},
}

// measured is a client with the figure that it is sorted by.
type measured struct {
	client *cast.Client
	value  int64
}

// measuredClients asks every client that the filters let through for its figure,
// at most dashboard.max_scan of them, and orders them by it: the loops are stopped
// for each chunk of them for some ten microseconds. A client that is gone meanwhile
// has the figure 0.
func (b inspector) measuredClients(ctx context.Context, q api.Query, m *measure) (api.Page[*cast.Client], error) {
	every := q
	every.Sort, every.Desc, every.Page, every.Limit = "client_id", false, 1, q.Scan
	found, err := b.findClients(every)
	if err != nil {
		return api.Page[*cast.Client]{}, err
	}
	all, cells := make([]measured, len(found.Items)), make([]*cell.Cell, len(found.Items))
	for i, c := range found.Items {
		all[i].client, cells[i] = c, &c.Conn.Client
		if m.session {
			cells[i] = c.Session
		}
	}
	if err := onGroups(ctx, cells, func(i int) { all[i].value = m.of(all[i].client) }); err != nil {
		return api.Page[*cast.Client]{}, err
	}
	page := api.Pick(func(yield func(measured) bool) {
		for _, c := range all {
			if !yield(c) {
				return
			}
		}
	}, q, func(measured) bool { return true }, func(x, y measured) bool {
		return cmp.Or(cmp.Compare(x.value, y.value), cmp.Compare(x.client.ClientID, y.client.ClientID)) < 0
	})
	out := api.Convert(page, func(c measured) *cast.Client { return c.client })
	out.Total, out.Truncated = found.Total, found.Truncated || found.Total > len(all)
	return out, nil
}

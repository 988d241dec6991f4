// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"emqttd/listeners/api"
	"emqttd/protocol/message"
	"emqttd/protocol/packet"
	"emqttd/protocol/topic"
)

// retained calls yield for the retained messages that a filter matches and that
// have not expired; "" is all, those under $SYS too.
func (b inspector) retained(filter string, yield func(*message.Message) bool) {
	now, more := time.Now().UnixNano(), true
	walk := func(f string) {
		b.pub.Retained.Walk(f, func(m *message.Message) bool {
			more = m.Expired(now) || yield(m)
			return more
		})
	}
	if filter != "" {
		walk(filter)
		return
	}
	if walk("#"); more {
		walk("$SYS/#") // no other topic begins with $ [v3.1.1 4.7.2, v5 4.7.2]; # does not match it
	}
}

// Retained implements api.Broker.
func (b inspector) Retained(ctx context.Context, q api.Query) (api.Page[api.Retained], error) {
	filter := q.Filters["filter"]
	if err := topic.ValidFilter(filter, b.env.Limits().Topics); filter != "" && err != nil {
		return api.Page[api.Retained]{}, api.Fail(400, "?filter: %v", err)
	}
	all := func(yield func(*message.Message) bool) { b.retained(filter, yield) }
	found := api.Pick(until(ctx, all), q, func(m *message.Message) bool {
		return q.Is("from", m.From) && q.Is("qos", strconv.Itoa(int(m.QoS))) && q.Contains(m.Topic)
	}, func(x, y *message.Message) bool {
		c := 0
		switch q.Sort {
		case "published_at":
			c = cmp.Compare(x.At, y.At)
		case "payload_bytes":
			c = cmp.Compare(len(x.Payload), len(y.Payload))
		}
		return cmp.Or(c, cmp.Compare(x.Topic, y.Topic)) < 0
	})
	return api.Convert(found, retainedOf), ctx.Err()
}

func retainedOf(m *message.Message) api.Retained {
	return api.Retained{Topic: m.Topic, QoS: int(m.QoS), Bytes: len(m.Payload), From: m.From, At: time.Unix(0, m.At).UTC(), ExpiresAt: at(m.Expiry)}
}

// RetainedMessage implements api.Broker.
func (b inspector) RetainedMessage(_ context.Context, name string) (*api.RetainedMessage, error) {
	m := b.pub.Retained.Get(name)
	if m == nil || m.Expired(time.Now().UnixNano()) {
		return nil, fmt.Errorf("retained message of %q: %w", name, api.ErrNotFound)
	}
	out := &api.RetainedMessage{Retained: retainedOf(m), Payload: m.Payload}
	if readable(m.Payload) {
		out.Text = string(m.Payload)
	}
	if p := m.Properties; p != nil {
		if p.Has(packet.PropContentType) {
			out.ContentType = p.ContentType
		}
		if p.Has(packet.PropResponseTopic) {
			out.ResponseTopic = p.ResponseTopic
		}
		if p.Has(packet.PropCorrelationData) {
			out.CorrelationData = p.CorrelationData
		}
		for _, u := range p.User {
			out.UserProperties = append(out.UserProperties, api.UserProperty{Key: u.Key, Value: u.Value})
		}
	}
	return out, nil
}

// readable reports whether a payload can be shown as text.
func readable(b []byte) bool {
	return utf8.Valid(b) && !strings.ContainsFunc(string(b), func(r rune) bool {
		return unicode.IsControl(r) && r != '\n' && r != '\r' && r != '\t'
	})
}

// RetainedTree implements api.Broker: what stands one level below prefix.
func (b inspector) RetainedTree(ctx context.Context, q api.Query) (api.Page[api.Branch], error) {
	prefix, given := q.Filters["prefix"] // there and empty: below an empty first level
	filter, start := "", ""
	if given {
		filter, start = prefix+"/#", prefix+"/"
	}
	if prefix != "" {
		if err := topic.ValidName(prefix, b.env.Limits().Topics); err != nil {
			return api.Page[api.Branch]{}, api.Fail(400, "?prefix: %v", err)
		}
	}
	branches, seen, truncated := map[string]*api.Branch{}, 0, false
	count := func(m *message.Message) bool {
		if seen++; seen > q.Scan || len(branches) > b.config().Dashboard.MaxOffset {
			truncated = true
			return false
		}
		rest, below := strings.CutPrefix(m.Topic, start)
		if !below {
			return true // the prefix itself: prefix/# matches it
		}
		level, _, deeper := strings.Cut(rest, "/")
		br := branches[level]
		if br == nil {
			br = &api.Branch{Level: level, Topic: start + level, Leaf: true}
			branches[level] = br
		}
		br.Messages++
		if deeper {
			br.Leaf = false
		} else {
			r := retainedOf(m)
			br.Message = &r
		}
		return true
	}
	until(ctx, func(yield func(*message.Message) bool) { b.retained(filter, yield) })(count)
	rows := make([]*api.Branch, 0, len(branches))
	for _, br := range branches {
		if q.Contains(br.Level) {
			rows = append(rows, br)
		}
	}
	p := api.Pick(slices.Values(rows), q, func(*api.Branch) bool { return true }, func(x, y *api.Branch) bool { return x.Level < y.Level })
	p.Truncated = truncated
	return api.Convert(p, func(br *api.Branch) api.Branch { return *br }), ctx.Err()
}

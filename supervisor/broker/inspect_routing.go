// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"cmp"
	"context"
	"iter"
	"strconv"
	"strings"

	"emqttd/actors/cast"
	"emqttd/actors/router"
	"emqttd/listeners/api"
	"emqttd/protocol/message"
	"emqttd/protocol/topic"
)

// member is a subscription with the group that it is in.
type member struct {
	*cast.Subscription
	group string
}

// Subscriptions implements api.Broker. It reads the routing table as a publisher
// does, without a lock.
func (b inspector) Subscriptions(ctx context.Context, q api.Query) (api.Page[api.Subscription], error) {
	less := map[string]func(a, b member) int{
		"filter":    func(member, member) int { return 0 },
		"client_id": func(a, b member) int { return cmp.Compare(a.ClientID, b.ClientID) },
		"qos":       func(a, b member) int { return cmp.Compare(a.QoS, b.QoS) },
	}[q.Sort]
	all := func(yield func(member) bool) {
		b.pub.Table.All(func(group string, s *cast.Subscription) bool { return yield(member{s, group}) })
	}
	found := api.Pick(until(ctx, all), q, func(m member) bool {
		return q.Is("client_id", m.ClientID) && q.Is("filter", m.Filter) && q.Is("share_group", m.group) &&
			q.Is("qos", strconv.Itoa(int(m.QoS))) && matches(q, inner(m.Filter)) && q.Contains(m.Filter, m.ClientID)
	}, func(x, y member) bool {
		return cmp.Or(less(x, y), cmp.Compare(x.Filter, y.Filter), cmp.Compare(x.ClientID, y.ClientID)) < 0
	})
	return api.Convert(found, func(m member) api.Subscription { return subscriptionOf(m.Subscription, m.group) }), ctx.Err()
}

// until ends a walk with the request that asks for it: it looks at the context
// every thousand entries.
func until[T any](ctx context.Context, all iter.Seq[T]) iter.Seq[T] {
	return func(yield func(T) bool) {
		n := 0
		all(func(v T) bool {
			n++
			return (n%1000 != 0 || ctx.Err() == nil) && yield(v)
		})
	}
}

// matches reports whether the query's topic, if it has one, matches a filter.
func matches(q api.Query, filter string) bool {
	name, given := q.Filters["topic"]
	return !given || topic.Match(filter, name)
}

// inner is what is matched of a filter as the client wrote it.
func inner(filter string) string {
	if share, shared, _ := topic.ParseShare(filter); shared {
		return share.Filter
	}
	return filter
}

func subscriptionOf(s *cast.Subscription, group string) api.Subscription {
	if share, shared, _ := topic.ParseShare(s.Filter); shared && group == "" {
		group = share.Group
	}
	return api.Subscription{ClientID: s.ClientID, Filter: s.Filter, QoS: int(s.QoS), NoLocal: s.NoLocal, RetainAsPublished: s.AsPub,
		Group: group, SubscriptionIDs: s.IDs.All(), Durable: s.Durable}
}

// Routes implements api.Broker.
func (b inspector) Routes(ctx context.Context, q api.Query) (api.Page[api.TableRoute], error) {
	found := api.Pick(until(ctx, b.pub.Table.Routes), q, func(r router.Route) bool {
		return q.Is("filter", r.Filter) && matches(q, r.Filter) && q.Contains(r.Filter)
	}, func(x, y router.Route) bool {
		if q.Sort == "subscribers" && x.Subscribers != y.Subscribers {
			return x.Subscribers < y.Subscribers
		}
		return x.Filter < y.Filter
	})
	return api.Convert(found, func(r router.Route) api.TableRoute {
		out := api.TableRoute{Filter: r.Filter, Node: b.env.Node, Subscribers: r.Subscribers}
		for _, g := range r.Groups {
			out.Groups = append(out.Groups, api.Group{Name: g.Name, Members: g.Members})
		}
		return out
	}), ctx.Err()
}

// Topics implements api.Broker: the filters that are the name of a topic, and the
// topics that have a retained message.
func (b inspector) Topics(ctx context.Context, q api.Query) (api.Page[api.Topic], error) {
	all := func(yield func(api.Topic) bool) {
		more := true
		b.pub.Table.Routes(func(r router.Route) bool {
			if topic.HasWildcard(r.Filter) {
				return true
			}
			t := api.Topic{Topic: r.Filter, Subscribers: r.Subscribers, Retained: b.pub.Retained.Has(r.Filter)}
			for _, g := range r.Groups {
				t.Subscribers += g.Members
			}
			more = yield(t)
			return more
		})
		if !more {
			return
		}
		b.retained("", func(m *message.Message) bool {
			return b.pub.Table.Subscribers(m.Topic) > 0 || yield(api.Topic{Topic: m.Topic, Retained: true})
		})
	}
	return api.Pick(until(ctx, all), q, func(t api.Topic) bool {
		return q.Is("topic", t.Topic) && q.Is("sys", strconv.FormatBool(strings.HasPrefix(t.Topic, "$SYS/"))) && q.Contains(t.Topic)
	}, func(x, y api.Topic) bool {
		if q.Sort == "subscribers" && x.Subscribers != y.Subscribers {
			return x.Subscribers < y.Subscribers
		}
		return x.Topic < y.Topic
	}), ctx.Err()
}

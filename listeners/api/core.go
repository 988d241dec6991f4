// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"net/http"
	"strconv"
)

// core are the routes that show what a Broker knows.
func (s *Server) core() []Route {
	b := s.opts.Broker
	get := func(path string, f func(c *Call) (any, error)) Route {
		return Route{Method: "GET", Path: path, Role: Viewer, Handle: f}
	}
	return []Route{
		get("/node", func(*Call) (any, error) { return b.Node(), nil }),
		get("/listeners", func(*Call) (any, error) { return b.Listeners(), nil }),
		get("/stats", func(*Call) (any, error) { return b.Stats(), nil }),
		get("/metrics", func(*Call) (any, error) { return b.Metrics(), nil }),
		get("/config", func(*Call) (any, error) { return b.Config(), nil }),
		get("/clients", list(clientList, b.Clients)),
		get("/clients/{id}", func(c *Call) (any, error) { return b.Client(c.Context(), c.PathValue("id")) }),
		get("/sessions", list(sessionList, b.Sessions)),
		get("/sessions/{id}", func(c *Call) (any, error) { return b.Session(c.Context(), c.PathValue("id")) }),
		get("/subscriptions", list(subscriptionList, b.Subscriptions)),
		get("/routes", list(routeList, b.Routes)),
		get("/topics", list(topicList, b.Topics)),
		get("/retained", list(retainedList, b.Retained)),
		get("/retained/message", s.retainedMessage),
		get("/retained/tree", list(treeList, b.RetainedTree)),
		get("/bans", func(c *Call) (any, error) {
			q, err := c.Query(banList)
			if err != nil {
				return nil, err
			}
			return b.Bans(q)
		}),
		get("/actors", s.actors),
		get("/actors/children", s.children),
		get("/actors/kinds", func(*Call) (any, error) { return b.ActorKinds(), nil }),
	}
}

// The lists, with what they can be sorted and filtered by. The first is the
// order without ?sort.
var (
	clientList = List{Sorts: []string{"client_id", "username", "peer", "listener", "protocol", "connected_at", "keep_alive_seconds",
		"received_bytes", "sent_bytes", "received_messages", "sent_messages", "out_buffer_bytes", "last_read_at", "subscriptions", "inflight",
		"queued", "queued_bytes"},
		Filters: []string{"client_id", "username", "listener", "transport", "protocol", "address", "clean_start"}}
	sessionList      = List{Sorts: []string{"client_id", "created_at"}, Filters: []string{"client_id", "connected"}}
	subscriptionList = List{Sorts: []string{"filter", "client_id", "qos"}, Filters: []string{"client_id", "filter", "topic", "share_group", "qos"}}
	routeList        = List{Sorts: []string{"filter", "subscribers"}, Filters: []string{"filter", "topic"}}
	topicList        = List{Sorts: []string{"topic", "subscribers"}, Filters: []string{"topic", "sys"}}
	childList        = List{Filters: []string{"of"}}
	banList          = List{Sorts: []string{"value", "at", "until"}, Filters: []string{"kind", "by"}}
	treeList         = List{Sorts: []string{"level"}, Filters: []string{"prefix"}}
	retainedList     = List{Sorts: []string{"topic", "published_at", "payload_bytes"}, Filters: []string{"filter", "from", "qos"}}
)

// list is the route of a list.
func list[T any](l List, f func(context.Context, Query) (Page[T], error)) func(*Call) (any, error) {
	return func(c *Call) (any, error) {
		q, err := c.Query(l)
		if err != nil {
			return nil, err
		}
		return f(c.Context(), q)
	}
}

func (s *Server) retainedMessage(c *Call) (any, error) {
	topic, err := cleanTopic(c)
	if err != nil {
		return nil, err
	}
	return s.opts.Broker.RetainedMessage(c.Context(), topic)
}

// children is one page of the children of ?of, a supervisor, in the order of their
// start.
func (s *Server) children(c *Call) (any, error) {
	q, err := c.Query(childList)
	if err != nil {
		return nil, err
	}
	if q.Filters["of"] == "" || q.Search != "" {
		return nil, Fail(http.StatusBadRequest, "?of is needed, the name of a supervisor; ?search is unknown here")
	}
	return s.opts.Broker.ActorChildren(q.Filters["of"], q)
}

// maxActors is how many children a supervisor of connections or sessions shows
// without ?max.
const maxActors = 100

func (s *Server) actors(c *Call) (any, error) {
	most := min(maxActors, s.opts.MaxPage)
	if text := c.Param("max"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 || n > s.opts.MaxPage {
			return nil, Fail(http.StatusBadRequest, "?max is to be a number up to %d", s.opts.MaxPage)
		}
		most = n
	}
	return s.opts.Broker.Actors(most), nil
}

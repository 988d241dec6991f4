// SPDX-License-Identifier: Apache-2.0

package api

import (
	"net/http"
	"time"
)

// changes are the routes that do something to what the broker holds.
func (s *Server) changes() []Route {
	b := s.opts.Broker
	change := func(method, path, name string, f func(c *Call) (any, error)) Route {
		return Route{Method: method, Path: path, Role: Administrator, Change: name, Handle: f}
	}
	return []Route{
		change("DELETE", "/clients/{id}", "client.kick", func(c *Call) (any, error) { return nil, b.Kick(c.Context(), c.PathValue("id")) }),
		change("DELETE", "/sessions/{id}", "session.delete", func(c *Call) (any, error) { return nil, b.EndSession(c.Context(), c.PathValue("id")) }),
		change("POST", "/clients/{id}/subscriptions", "subscription.add", s.subscribe),
		change("DELETE", "/clients/{id}/subscriptions", "subscription.delete", s.unsubscribe),
		change("POST", "/publish", "message.publish", s.publish),
		change("DELETE", "/retained/message", "retained.delete", s.forgetOne),
		change("DELETE", "/retained", "retained.delete_all", s.forgetAll),
		change("POST", "/bans", "ban.add", s.ban),
		change("DELETE", "/bans/{kind}/{value}", "ban.delete", func(c *Call) (any, error) {
			return nil, b.DeleteBan(c.PathValue("kind"), c.PathValue("value"))
		}),
		change("POST", "/config/reload", "config.reload", s.reload),
		change("POST", "/actors/stop", "actor.stop", s.actor(b.StopActor)),
		change("POST", "/actors/crash", "actor.crash", s.actor(b.CrashActor)),
	}
}

func (s *Server) subscribe(c *Call) (any, error) {
	var in NewSubscription
	if err := c.Decode(&in); err != nil {
		return nil, err
	}
	c.Note("filter", cutText(in.Filter))
	if in.QoS < 0 || in.QoS > 2 || in.RetainHandling < 0 || in.RetainHandling > 2 {
		return nil, Fail(http.StatusUnprocessableEntity, "qos and retain_handling are 0, 1 or 2")
	}
	sub, err := s.opts.Broker.Subscribe(c.Context(), c.PathValue("id"), in)
	return Answer{http.StatusCreated, sub}, err
}

func (s *Server) unsubscribe(c *Call) (any, error) {
	filter := c.Param("filter")
	if filter == "" {
		return nil, Fail(http.StatusBadRequest, "?filter is needed")
	}
	return nil, s.opts.Broker.Unsubscribe(c.Context(), c.PathValue("id"), filter)
}

func (s *Server) publish(c *Call) (any, error) {
	var in NewMessage
	if err := c.Decode(&in); err != nil {
		return nil, err
	}
	c.Note("topic", cutText(in.Topic))
	switch {
	case in.QoS < 0 || in.QoS > 2:
		return nil, Fail(http.StatusUnprocessableEntity, "qos is 0, 1 or 2")
	case in.Text != "" && in.Payload != nil:
		return nil, Fail(http.StatusUnprocessableEntity, "payload and payload_base64 exclude each other")
	case in.Text != "":
		in.Payload = []byte(in.Text)
	}
	return s.opts.Broker.Publish(c.Context(), in)
}

func (s *Server) forgetOne(c *Call) (any, error) {
	topic, err := cleanTopic(c)
	if err != nil {
		return nil, err
	}
	if _, err := s.opts.Broker.RetainedMessage(c.Context(), topic); err != nil {
		return nil, err
	}
	c.Note("topic", cutText(topic))
	_, err = s.opts.Broker.Publish(c.Context(), NewMessage{Topic: topic, QoS: 1, Retain: true})
	return nil, err
}

func (s *Server) forgetAll(c *Call) (any, error) {
	filter := c.Param("filter")
	if filter == "" {
		return nil, Fail(http.StatusBadRequest, "?filter is needed: # deletes all but what is below $SYS")
	}
	n, err := s.opts.Broker.ForgetRetained(c.Context(), filter)
	c.Note("deleted", n)
	return Deleted{n}, err
}

func (s *Server) ban(c *Call) (any, error) {
	var in NewBan
	if err := c.Decode(&in); err != nil {
		return nil, err
	}
	c.Note("kind", cut(in.Kind))
	c.Note("value", cut(in.Value))
	b, kicked, err := s.opts.Broker.AddBan(Ban{Kind: in.Kind, Value: in.Value, Until: in.Until, Reason: in.Reason, By: c.Principal.Name,
		At: time.Now().UTC()})
	return Answer{http.StatusCreated, MadeBan{b, kicked}}, err
}

// actor is a route that does something to an actor.
func (s *Server) actor(f func(name string) error) func(*Call) (any, error) {
	return func(c *Call) (any, error) {
		var in ActorName
		if err := c.Decode(&in); err != nil {
			return nil, err
		}
		c.Note("actor", cutText(in.Name))
		return nil, f(in.Name)
	}
}

func (s *Server) reload(c *Call) (any, error) {
	keys, err := s.opts.Broker.Reload()
	if err != nil {
		return nil, err
	}
	c.Note("need_restart", keys)
	return Reloaded{append([]string{}, keys...)}, nil
}

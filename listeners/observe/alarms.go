// SPDX-License-Identifier: Apache-2.0

package observe

import (
	_ "embed"
	"errors"
	"net/http"
	"time"

	"emqttd/actors/alarm"
	"emqttd/actors/metrics"
	"emqttd/listeners/api"
	"emqttd/protocol/topic"
)

//go:embed alarms.yaml
var alarmsDocument []byte

// watch are the routes of what the broker noticed by itself.
type watch struct {
	alarms *alarm.Table
	slow   *metrics.Slow
	topics *metrics.Topics
}

// Watch are the routes of alarms, slow subscribers and counted topics.
func Watch(a *alarm.Table, s *metrics.Slow, t *metrics.Topics) api.Extension {
	w := &watch{a, s, t}
	change := func(method, path, name string, f func(*api.Call) (any, error)) api.Route {
		return api.Route{Method: method, Path: path, Role: api.Administrator, Change: name, Handle: f}
	}
	get := func(path string, f func(*api.Call) (any, error)) api.Route {
		return api.Route{Method: http.MethodGet, Path: path, Role: api.Viewer, Handle: f}
	}
	return api.Extension{Document: alarmsDocument, Routes: []api.Route{
		get("/alarms", func(*api.Call) (any, error) { return whole(w.alarms.Active()), nil }),
		get("/alarms/history", func(*api.Call) (any, error) { return whole(w.alarms.History()), nil }),
		change(http.MethodDelete, "/alarms/history", "alarm.forget", func(*api.Call) (any, error) { w.alarms.Forget(); return nil, nil }),
		change(http.MethodDelete, "/alarms/{id}", "alarm.clear", w.clear),
		get("/slow_subscribers", func(*api.Call) (any, error) { return whole(w.slow.List(time.Now())), nil }),
		change(http.MethodDelete, "/slow_subscribers", "slow_subscribers.reset", func(*api.Call) (any, error) { w.slow.Reset(); return nil, nil }),
		get("/topic_metrics", w.list),
		change(http.MethodPost, "/topic_metrics", "topic_metrics.add", w.add),
		change(http.MethodDelete, "/topic_metrics", "topic_metrics.remove", w.remove),
	}}
}

// whole is a list that is bounded anyway as one page.
func whole[T any](items []T) api.Page[T] {
	if items == nil {
		items = []T{}
	}
	return api.Page[T]{Items: items, Total: len(items), Page: 1, Limit: max(1, len(items))}
}

// clear takes an alarm away by hand; it comes again when its cause is seen again.
func (w *watch) clear(c *api.Call) (any, error) {
	if !w.alarms.Clear(c.PathValue("id"), time.Now()) {
		return nil, api.ErrNotFound
	}
	return nil, nil
}

// TopicMetrics are the counters of one topic.
type TopicMetrics struct {
	Topic    string    `json:"topic"`
	Since    time.Time `json:"since"`
	Received [3]int64  `json:"received_messages"` // by QoS
	Sent     [3]int64  `json:"sent_messages"`
	Dropped  int64     `json:"dropped_messages"` // nobody had subscribed
}

func (w *watch) list(*api.Call) (any, error) {
	var all []TopicMetrics
	for _, name := range w.topics.Names() {
		if t := w.topics.Find(name); t != nil {
			all = append(all, figures(name, t))
		}
	}
	return whole(all), nil
}

func figures(name string, t *metrics.Topic) TopicMetrics {
	m := TopicMetrics{Topic: name, Since: t.Since, Dropped: t.Dropped.Load()}
	for q := range m.Received {
		m.Received[q], m.Sent[q] = t.Received[q].Load(), t.Sent[q].Load()
	}
	return m
}

// TopicName names a topic.
type TopicName struct {
	Topic string `json:"topic"`
}

func (w *watch) add(c *api.Call) (any, error) {
	var in TopicName
	if err := c.Decode(&in); err != nil {
		return nil, err
	}
	if err := topic.ValidName(in.Topic, topic.Limits{}); err != nil {
		return nil, api.Fail(http.StatusBadRequest, "topic: %v: a topic without wildcards is expected", err)
	}
	c.Note("topic", in.Topic)
	err := w.topics.Add(in.Topic, time.Now())
	if errors.Is(err, metrics.ErrTopics) || errors.Is(err, metrics.ErrTopicThere) {
		return nil, api.Fail(http.StatusConflict, "%v", err)
	}
	return api.Answer{Status: http.StatusCreated, Body: figures(in.Topic, w.topics.Find(in.Topic))}, err
}

func (w *watch) remove(c *api.Call) (any, error) {
	c.Note("topic", c.Param("topic"))
	if !w.topics.Remove(c.Param("topic")) {
		return nil, api.ErrNotFound
	}
	return nil, nil
}

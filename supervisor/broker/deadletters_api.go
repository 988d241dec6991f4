// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"emqttd/actors/session"
	"emqttd/actors/store"
	"emqttd/listeners/api"
)

//go:embed deadletters.yaml
var deadLettersDocument []byte

type (
	// grave is a session with dead letters, as the API shows it.
	grave struct {
		ClientID string    `json:"client_id"`
		Letters  int       `json:"letters"`
		Bytes    int       `json:"bytes"`
		Newest   time.Time `json:"newest_at"`
	}
	// deadLetter is one of them.
	deadLetter struct {
		Serial    uint64    `json:"serial"`
		Topic     string    `json:"topic"`
		QoS       int       `json:"qos"`
		Retain    bool      `json:"retain"`
		From      string    `json:"from,omitempty"`
		Published time.Time `json:"published_at"`
		Payload   []byte    `json:"payload_base64"`
		Text      string    `json:"payload_text,omitempty"`
		Reason    string    `json:"reason"`
		At        time.Time `json:"crashed_at"`
	}
)

// deadLetters are the routes by which operators look at messages that crashed
// their session, and replay or delete them.
func (b *Broker) deadLetters() api.Extension {
	change := func(method, path, name string, f func(context.Context, string, ...uint64) ([]*store.Dead, error)) api.Route {
		return api.Route{Method: method, Path: path, Role: api.Administrator, Change: name, Handle: func(c *api.Call) (any, error) {
			return lettersOf(c, f)
		}}
	}
	return api.Extension{Document: deadLettersDocument, Routes: []api.Route{
		{Method: http.MethodGet, Path: "/dead_letters", Role: api.Viewer, Handle: b.listGraves},
		{Method: http.MethodGet, Path: "/dead_letters/{id}", Role: api.Administrator, Handle: func(c *api.Call) (any, error) {
			return lettersOf(c, func(ctx context.Context, id string, _ ...uint64) ([]*store.Dead, error) {
				return b.DeadLetters(ctx, id)
			})
		}},
		change(http.MethodPost, "/dead_letters/{id}/replay", "dead_letters.replay", b.ReplayDeadLetters),
		change(http.MethodDelete, "/dead_letters/{id}", "dead_letters.delete", b.DeleteDeadLetters),
	}}
}

func (b *Broker) listGraves(c *api.Call) (any, error) {
	q, err := c.Query(api.List{})
	if err != nil {
		return nil, err
	}
	p := api.Page[grave]{Items: []grave{}, Page: q.Page, Limit: q.Limit}
	for _, g := range b.Graves() {
		if !q.Contains(g.ClientID) {
			continue
		}
		if p.Total >= q.Offset() && len(p.Items) < q.Limit {
			p.Items = append(p.Items, grave{g.ClientID, g.Letters, g.Bytes, time.Unix(0, g.Newest).UTC()})
		}
		p.Total++
	}
	return p, nil
}

// lettersOf does f to the letters that ?serials names, or to all of the session.
func lettersOf(c *api.Call, f func(context.Context, string, ...uint64) ([]*store.Dead, error)) (any, error) {
	var serials []uint64
	if text := c.Param("serials"); text != "" {
		for s := range strings.SplitSeq(text, ",") {
			n, err := strconv.ParseUint(s, 10, 64)
			if err != nil {
				return nil, api.Fail(http.StatusBadRequest, "?serials is to be numbers with commas between them")
			}
			serials = append(serials, n)
		}
	}
	id := c.PathValue("id")
	dead, err := f(c.Context(), id, serials...)
	switch {
	case errors.Is(err, session.ErrNoSession):
		return nil, fmt.Errorf("session %q: %w", id, api.ErrNotFound)
	case errors.Is(err, session.ErrPoison):
		return nil, api.Fail(http.StatusConflict, "the session crashed again: the letters are where they were")
	case err != nil:
		return nil, err
	}
	out := []deadLetter{}
	for _, d := range dead {
		m := d.Message
		l := deadLetter{Serial: d.Serial, Topic: m.Topic, QoS: int(d.QoS), Retain: d.Retain, From: m.From, Published: time.Unix(0, m.At).UTC(),
			Payload: m.Payload, Reason: d.Reason, At: time.Unix(0, d.At).UTC()}
		if readable(m.Payload) {
			l.Text = string(m.Payload)
		}
		out = append(out, l)
	}
	c.Note("letters", len(out))
	return out, nil
}

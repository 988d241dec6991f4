// SPDX-License-Identifier: Apache-2.0

package api

import (
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
)

// Call is one request to a route, after it was found out who asks.
type Call struct {
	*http.Request
	Principal Principal
	server    *Server
	w         http.ResponseWriter
	notes     map[string]any
}

// Note adds a fact to the line that the audit log gets of this request: who was
// kicked, what was published where. Never a secret.
func (c *Call) Note(key string, value any) {
	if c.notes == nil {
		c.notes = map[string]any{}
	}
	c.notes[key] = value
}

// Query reads the parameters of a list.
func (c *Call) Query(l List) (Query, error) {
	return l.read(c.URL.Query(), c.server.bounds())
}

// Param is a query parameter, "" when it is not given.
func (c *Call) Param(name string) string { return c.URL.Query().Get(name) }

// Local reports whether the request came from this machine itself, by a loopback
// name and through no proxy.
func (c *Call) Local() bool { return local(c.Request) }

// Still reports whether who asked is still logged in, with the same rights;
// streams ask now and then.
func (c *Call) Still() bool {
	p, err := c.server.gate.who(c.Request)
	return err == nil && p.Via != ViaNothing && p.Role == c.Principal.Role
}

// Decode reads the JSON body into v. Fields that v does not have are a problem:
// a misspelt one would otherwise be passed over.
func (c *Call) Decode(v any) error {
	if t, _, err := mime.ParseMediaType(c.Header.Get("Content-Type")); err != nil || t != "application/json" {
		return Fail(http.StatusUnsupportedMediaType, "the body is to be application/json")
	}
	d := json.NewDecoder(http.MaxBytesReader(c.w, c.Body, c.server.opts.MaxBody))
	d.DisallowUnknownFields()
	err := d.Decode(v)
	if err == nil {
		_, err = d.Token()
		if errors.Is(err, io.EOF) {
			return nil
		}
		err = errors.New("more than one JSON value")
	}
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return Fail(http.StatusRequestEntityTooLarge, "the body is larger than %d bytes", tooLarge.Limit)
	}
	return Fail(http.StatusBadRequest, "the body: %v", err)
}

// Answer is a route's answer with another status than 200, such as 201 with the
// thing that was made.
type Answer struct {
	Status int
	Body   any // nil: none
}

// respond writes what a route has returned.
func (c *Call) respond(v any, err error) (status int) {
	if err != nil {
		p := problemOf(err)
		p.write(c.w)
		return p.Status
	}
	a, ok := v.(Answer)
	if !ok {
		a = Answer{http.StatusOK, v}
		if v == nil {
			a.Status = http.StatusNoContent
		}
	}
	h := c.w.Header()
	h.Set("Cache-Control", "no-store")
	if a.Body == nil {
		c.w.WriteHeader(a.Status)
		return a.Status
	}
	text, err := json.Marshal(a.Body)
	if err != nil {
		return c.respond(nil, err)
	}
	h.Set("Content-Type", "application/json")
	c.w.WriteHeader(a.Status)
	_, _ = c.w.Write(append(text, '\n')) // a peer that is gone hears nothing
	return a.Status
}

// SPDX-License-Identifier: Apache-2.0

package microscope

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"

	"emqttd/listeners/api"
)

//go:embed microscope.yaml
var document []byte

// Extension are the microscope's routes. The parameter tab, a random name that
// the page makes up for itself, says whose connections are meant: those of the
// user who asks, in that tab.
func (m *Microscope) Extension() api.Extension {
	const root = "/microscope"
	const one = root + "/connections/{id}"
	get := func(path string, f func(*api.Call) (any, error)) api.Route {
		return api.Route{Method: http.MethodGet, Path: path, Role: api.Viewer, Handle: plainly(f)}
	}
	change := func(method, path, name string, f func(*api.Call) (any, error)) api.Route {
		return api.Route{Method: method, Path: path, Role: api.Viewer, Change: "microscope." + name, Handle: plainly(f)}
	}
	return api.Extension{Document: document, Routes: []api.Route{
		get(root, m.about),
		get(root+"/connections", func(c *api.Call) (any, error) { return m.List(who(c), c.Param("tab")) }),
		change(http.MethodPost, root+"/preview", "preview", m.preview),
		change(http.MethodPost, root+"/connections", "open", m.postOpen),
		change(http.MethodPatch, one, "set", m.patch),
		change(http.MethodDelete, one, "forget", func(c *api.Call) (any, error) {
			return nil, m.Forget(who(c), c.Param("tab"), c.PathValue("id"))
		}),
		change(http.MethodPost, one+"/send", "send", m.postSend),
		change(http.MethodPost, one+"/close", "close", m.postClose),
		{Method: http.MethodPost, Path: root + "/watches", Role: api.Administrator, Change: "microscope.watch", Handle: plainly(m.postWatch)},
		{Method: http.MethodGet, Path: root + "/events", Role: api.Viewer, Stream: m.stream},
		{Method: http.MethodGet, Path: one + "/recording", Role: api.Viewer, Stream: m.recording},
		{Method: http.MethodGet, Path: root + "/all", Role: api.Administrator, Change: "microscope.list_all",
			Handle: func(*api.Call) (any, error) { return m.Others(), nil }},
		{Method: http.MethodGet, Path: root + "/all/{serial}/recording", Role: api.Administrator, Change: "microscope.look",
			Stream: m.othersRecording},
	}}
}

// who is the viewer of a request.
func who(c *api.Call) *Viewer {
	v := &Viewer{Name: c.Principal.Name, Admin: c.Principal.Role == api.Administrator, Local: c.Local(), Host: c.Host}
	if host, _, err := net.SplitHostPort(c.Host); err == nil {
		v.Host = host
	}
	if a, ok := c.Context().Value(http.LocalAddrContextKey).(net.Addr); ok {
		v.Here = addrOf(a).Addr()
	}
	return v
}

// plainly turns a refusal into 422, and what is not there into 404.
func plainly(f func(*api.Call) (any, error)) func(*api.Call) (any, error) {
	return func(c *api.Call) (any, error) {
		v, err := f(c)
		return v, problem(err)
	}
}

func problem(err error) error {
	var refused *RefusedError
	switch {
	case errors.Is(err, errNone):
		return api.Fail(http.StatusNotFound, "%s", errNone.Text)
	case errors.As(err, &refused):
		return api.Fail(http.StatusUnprocessableEntity, "%s", refused.Text)
	}
	return err
}

// About is what the page has to know before anything else.
type About struct {
	Doors  []Door `json:"listeners"` // to which the viewer may connect
	Limits struct {
		OtherHosts     bool `json:"other_hosts"`
		MaxConnections int  `json:"max_connections"`
		MaxPacket      int  `json:"max_packet"`
	} `json:"limits"`
}

func (m *Microscope) about(c *api.Call) (any, error) {
	v := who(c)
	out := About{Doors: []Door{}}
	for _, d := range m.doors() {
		if !d.Loopback || v.Admin || v.Local {
			out.Doors = append(out.Doors, d)
		}
	}
	out.Limits.OtherHosts = m.limits.OtherHosts && v.Admin
	out.Limits.MaxConnections, out.Limits.MaxPacket = m.limits.MaxConnections, m.limits.MaxPacket
	return out, nil
}

func (m *Microscope) preview(c *api.Call) (any, error) {
	var o Order
	if err := c.Decode(&o); err != nil {
		return nil, err
	}
	return m.Preview(o, c.Param("version"))
}

func (m *Microscope) postOpen(c *api.Call) (any, error) {
	var a Ask
	if err := c.Decode(&a); err != nil {
		return nil, err
	}
	c.Note("url", a.URL[:min(len(a.URL), maxURL)])
	v, err := m.Open(c.Context(), who(c), c.Param("tab"), a)
	return api.Answer{Status: http.StatusCreated, Body: v}, err
}

func (m *Microscope) postWatch(c *api.Call) (any, error) {
	var a Glance
	if err := c.Decode(&a); err != nil {
		return nil, err
	}
	c.Note("client_id", a.Client[:min(len(a.Client), 256)])
	if a.Reveal {
		c.Note("revealed", true)
	}
	v, err := m.Watch(c.Context(), who(c), c.Param("tab"), a)
	return api.Answer{Status: http.StatusCreated, Body: v}, err
}

func (m *Microscope) patch(c *api.Call) (any, error) {
	var in struct {
		Answers bool `json:"answers"`
	}
	if err := c.Decode(&in); err != nil {
		return nil, err
	}
	return nil, m.SetAnswers(who(c), c.Param("tab"), c.PathValue("id"), in.Answers)
}

func (m *Microscope) postSend(c *api.Call) (any, error) {
	var o Order
	if err := c.Decode(&o); err != nil {
		return nil, err
	}
	if o.Packet != nil {
		c.Note("packet", o.Packet.Type[:min(len(o.Packet.Type), 16)])
	}
	return nil, m.Send(who(c), c.Param("tab"), c.PathValue("id"), o)
}

func (m *Microscope) postClose(c *api.Call) (any, error) {
	var in struct {
		Abrupt bool `json:"abrupt"`
	}
	if err := c.Decode(&in); err != nil {
		return nil, err
	}
	return nil, m.Hangup(who(c), c.Param("tab"), c.PathValue("id"), in.Abrupt)
}

// writeTime bounds one write to a reader of a stream.
const writeTime = 10 * time.Second

// stream sends a tab's events as server-sent events: microscope (Event), and
// dropped ({events: n}) when older ones had to make room.
func (m *Microscope) stream(c *api.Call, w http.ResponseWriter) error {
	seq, _ := strconv.ParseUint(c.Header.Get("Last-Event-ID"), 10, 64)
	v, name := who(c), c.Param("tab")
	if _, err := m.tab(v, name); err != nil {
		return problem(err)
	}
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no")
	rc := http.NewResponseController(w)
	var told uint64
	_ = m.Follow(c.Context(), v, name, seq, func(events []*Event, dropped uint64) error {
		if len(events) == 0 && !c.Still() {
			return errNone // logged out meanwhile
		}
		text := bytes.NewBufferString(": \n\n")
		if dropped > told {
			told = dropped
			_, _ = fmt.Fprintf(text, "event: dropped\ndata: {\"events\":%d}\n\n", dropped)
		}
		for _, e := range events {
			data, err := json.Marshal(e)
			if err != nil {
				return err
			}
			_, _ = fmt.Fprintf(text, "id: %d\nevent: microscope\ndata: %s\n\n", e.Seq, data)
		}
		_ = rc.SetWriteDeadline(time.Now().Add(writeTime))
		if _, err := w.Write(text.Bytes()); err != nil {
			return err
		}
		return rc.Flush()
	})
	return nil // a reader that is gone hears nothing
}

// recording is one connection as a file: text or pcapng, the passwords in it
// covered unless they are asked for.
func (m *Microscope) recording(c *api.Call, w http.ResponseWriter) error {
	k := Passwords
	if c.Param("passwords") == "true" {
		k = Nothing
	}
	events, err := m.Events(who(c), c.Param("tab"), c.PathValue("id"), k)
	if err != nil {
		return problem(err)
	}
	return m.file(c, w, events, "connection-"+c.PathValue("id"))
}

// othersRecording is one connection of anybody. Passwords and messages are
// covered; the audit log says who looked, and whether they were uncovered.
func (m *Microscope) othersRecording(c *api.Call, w http.ResponseWriter) error {
	k := Contents
	if c.Param("reveal") == "true" {
		k = Nothing
		c.Note("revealed", true)
	}
	serial, err := strconv.ParseUint(c.PathValue("serial"), 10, 64)
	if err != nil {
		return problem(errNone)
	}
	events, err := m.OthersEvents(serial, k)
	if err != nil {
		return problem(err)
	}
	return m.file(c, w, events, "connection-of-others-"+strconv.FormatUint(serial, 10))
}

func (*Microscope) file(c *api.Call, w http.ResponseWriter, events []*Event, name string) error {
	var b bytes.Buffer
	kind, ext := "application/octet-stream", ".pcapng"
	var err error
	switch c.Param("format") {
	case "pcapng":
		err = Pcapng(&b, events, LayerWebSocket)
	case "pcapng-mqtt":
		ext = "-mqtt.pcapng"
		err = Pcapng(&b, events, LayerMQTT)
	case "text", "":
		kind, ext = "text/plain; charset=utf-8", ".txt"
		err = Text(&b, events)
	default:
		return api.Fail(http.StatusBadRequest, "format is text, pcapng or pcapng-mqtt")
	}
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", kind)
	h.Set("Content-Disposition", `attachment; filename="`+name+ext+`"`)
	h.Set("Cache-Control", "no-store")
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(4 * writeTime))
	_, _ = w.Write(b.Bytes()) // a reader that is gone hears nothing
	return nil
}

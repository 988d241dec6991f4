// SPDX-License-Identifier: Apache-2.0

package crashlab

import (
	_ "embed"
	"net/http"
	"slices"
	"strconv"
	"time"

	"emqttd/listeners/api"
	"emqttd/supervisor/chaos"
)

//go:embed crashlab.yaml
var document []byte

// The types below are schemas of crashlab.yaml.

// State is what is broken at present.
type State struct {
	Enabled bool    `json:"enabled"`
	Faults  []Fault `json:"faults"`
	Hits    []Hit   `json:"hits"` // newest first
	Running int     `json:"running,omitempty"`
}

// Fault is an armed fault.
type Fault struct {
	ID    int        `json:"id"`
	Fault string     `json:"fault"` // on one line
	Seen  int64      `json:"seen"`  // occurrences of its place
	Hits  int64      `json:"hits"`
	Blind int64      `json:"blind"` // occurrences that told nothing of what its scope asks for
	Until *time.Time `json:"until,omitempty"`
}

// Hit is one injected fault.
type Hit struct {
	At       time.Time `json:"at"`
	Fault    int       `json:"fault_id"`
	Do       string    `json:"do"`
	Actor    string    `json:"actor"`
	Kind     string    `json:"kind"`
	Message  string    `json:"message"`
	Phase    string    `json:"phase"`
	ClientID string    `json:"client_id,omitempty"`
}

// NewFault is the body that arms a fault.
type NewFault struct {
	Fault string `json:"fault"`
}

// Experiment is a recipe of the cookbook.
type Experiment struct {
	Name   string   `json:"name"` // "07"
	Title  string   `json:"title"`
	Emqttd string   `json:"emqttd"`
	Ours   string   `json:"ours"`
	Faults []string `json:"faults"`
	Stops  []string `json:"stops"`         // kinds of actors that are stopped half way
	Why    string   `json:"why,omitempty"` // it cannot be run from here
}

// NewRun is the body that begins an experiment.
type NewRun struct {
	Experiment string `json:"experiment"`
	Seed       uint64 `json:"seed,omitempty"` // 0: the recipe's own
}

// Run is an experiment that was begun, with its verdict.
type Run struct {
	ID          int         `json:"id"`
	Experiment  string      `json:"experiment"`
	Title       string      `json:"title"`
	State       string      `json:"state"`
	StartedAt   time.Time   `json:"started_at"`
	Elapsed     float64     `json:"elapsed_seconds"`
	Step        int         `json:"step"`
	Steps       int         `json:"steps"`
	Seed        uint64      `json:"seed"`
	Events      int         `json:"events"`
	Published   int         `json:"published_messages"`
	Received    int         `json:"received_messages"`
	Connections int         `json:"connections"`
	Violations  []Violation `json:"violations,omitempty"`
	Trace       []string    `json:"trace,omitempty"`
	Error       string      `json:"error,omitempty"`
}

// Violation is a clause of the contract that did not hold.
type Violation struct {
	Clause string `json:"clause"`
	Text   string `json:"text"`
}

// Extension are the lab's routes. Where it is closed everybody may see that;
// whoever wants to change something is told what to write.
func (l *Lab) Extension() api.Extension {
	get := func(path string, f func(*api.Call) (any, error)) api.Route {
		return api.Route{Method: http.MethodGet, Path: path, Role: api.Viewer, Handle: f}
	}
	change := func(method, path, name string, f func(*api.Call) (any, error)) api.Route {
		return api.Route{Method: method, Path: path, Role: api.Administrator, Change: "chaos." + name, Handle: l.open(f)}
	}
	return api.Extension{Document: document, Routes: []api.Route{
		get("/chaos", func(*api.Call) (any, error) { return l.state(), nil }),
		get("/chaos/experiments", func(*api.Call) (any, error) { return experiments(), nil }),
		get("/chaos/runs", func(*api.Call) (any, error) { return l.list(), nil }),
		change(http.MethodPost, "/chaos/faults", "arm", l.postFault),
		change(http.MethodDelete, "/chaos/faults", "clear_all", func(*api.Call) (any, error) {
			l.clearAll()
			return nil, nil
		}),
		change(http.MethodDelete, "/chaos/faults/{id}", "clear", numbered(l.clear)),
		change(http.MethodPost, "/chaos/runs", "run", l.postRun),
		change(http.MethodDelete, "/chaos/runs/{id}", "stop", numbered(l.stop)),
	}}
}

// open is f where the lab is.
func (l *Lab) open(f func(*api.Call) (any, error)) func(*api.Call) (any, error) {
	return func(c *api.Call) (any, error) {
		if !l.opts.Enabled {
			return nil, api.Fail(http.StatusForbidden, "the crash lab is closed: it opens where the configuration says chaos.enabled: true")
		}
		return f(c)
	}
}

func numbered(f func(id int) error) func(*api.Call) (any, error) {
	return func(c *api.Call) (any, error) {
		id, err := strconv.Atoi(c.PathValue("id"))
		if err != nil {
			return nil, api.Fail(http.StatusBadRequest, "%q is no number", c.PathValue("id"))
		}
		return nil, f(id)
	}
}

func (l *Lab) postFault(c *api.Call) (any, error) {
	var in NewFault
	if err := c.Decode(&in); err != nil {
		return nil, err
	}
	c.Note("fault", in.Fault)
	id, err := l.add(in.Fault)
	if err != nil {
		return nil, api.Fail(http.StatusUnprocessableEntity, "%v", err)
	}
	all := l.faults()
	i := slices.IndexFunc(all, func(f Fault) bool { return f.ID == id })
	if i < 0 {
		return nil, api.Fail(http.StatusConflict, "the fault was cleared at once by somebody else")
	}
	return api.Answer{Status: http.StatusCreated, Body: all[i]}, nil
}

func (l *Lab) postRun(c *api.Call) (any, error) {
	var in NewRun
	if err := c.Decode(&in); err != nil {
		return nil, err
	}
	c.Note("experiment", in.Experiment)
	r, err := l.start(in.Experiment, in.Seed)
	return api.Answer{Status: http.StatusCreated, Body: r}, err
}

func (l *Lab) state() State {
	s := State{Enabled: l.opts.Enabled, Faults: l.faults()}
	l.mu.Lock()
	defer l.mu.Unlock()
	s.Hits = slices.Clone(l.hits)
	slices.Reverse(s.Hits)
	if s.Hits == nil {
		s.Hits = []Hit{}
	}
	if n := len(l.runs); n > 0 && l.runs[n-1].view.State == running {
		s.Running = l.runs[n-1].view.ID
	}
	return s
}

func (l *Lab) faults() []Fault {
	out := []Fault{}
	for _, a := range l.injector.List() {
		f := Fault{ID: a.ID, Fault: a.Fault.String(), Seen: a.Seen, Hits: a.Hits, Blind: a.Blind}
		if a.Until != 0 {
			until := time.Unix(0, a.Until).UTC()
			f.Until = &until
		}
		out = append(out, f)
	}
	return out
}

// list is the runs, newest first.
func (l *Lab) list() []Run {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := []Run{}
	for _, r := range slices.Backward(l.runs) {
		v := r.view
		if v.State == running {
			v.Elapsed = l.opts.Now().Sub(v.StartedAt).Seconds()
		}
		out = append(out, v)
	}
	return out
}

func experiments() []Experiment {
	out := make([]Experiment, 0, len(chaos.Cookbook))
	for i := range chaos.Cookbook {
		e := &chaos.Cookbook[i]
		out = append(out, Experiment{Name: e.Name(), Title: e.Title, Emqttd: e.Emqttd, Ours: e.Ours,
			Faults: append([]string{}, e.Faults...), Stops: append([]string{}, e.Stop...), Why: why(e)})
	}
	return out
}

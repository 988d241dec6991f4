// SPDX-License-Identifier: Apache-2.0

package broker_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"

	"emqttd/supervisor/broker/brokertest"
)

// withDashboard starts a broker with its HTTP origin on a free port, and an
// administrator and a viewer of the configuration.
func withDashboard(t testing.TB, sets ...string) *brokertest.Broker {
	t.Helper()
	return brokertest.Start(t, append([]string{"dashboard.bind=127.0.0.1:0", "dashboard.administrators.root=toor toor",
		"dashboard.viewers.guest=guest guest"}, sets...)...)
}

// web speaks HTTP to a broker's dashboard. Every answer of the API is held to the
// schema that the document has for it.
type web struct {
	t      testing.TB
	base   string
	client *http.Client
	auth   func(*http.Request)
	header http.Header // of every request
}

func browse(t testing.TB, b *brokertest.Broker) *web {
	w := &web{t: t, base: "http://" + b.Addr("dashboard").String(), client: &http.Client{}, auth: func(*http.Request) {}, header: http.Header{}}
	t.Cleanup(w.client.CloseIdleConnections)
	return w
}

// as is w with a user and password.
func (w *web) as(user, password string) *web {
	v := *w
	v.auth = func(r *http.Request) { r.SetBasicAuth(user, password) }
	return &v
}

// root and guest are the users of withDashboard.
func (w *web) root() *web  { return w.as("root", "toor toor") }
func (w *web) guest() *web { return w.as("guest", "guest guest") }

// bearer is w with an API key or token.
func (w *web) bearer(key string) *web {
	v := *w
	v.auth = func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+key) }
	return &v
}

// with is w with one more header in every request.
func (w *web) with(name, value string) *web {
	v := *w
	v.header = w.header.Clone()
	v.header.Set(name, value)
	return &v
}

// send sends a request to the API, or, if path begins with "//", elsewhere.
func (w *web) send(method, path string, body any) *http.Response {
	w.t.Helper()
	var text io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		require.NoError(w.t, err)
		text = bytes.NewReader(b)
	}
	full, elsewhere := strings.CutPrefix(path, "/")
	if !strings.HasPrefix(full, "/") || !elsewhere {
		full = "/api/v1" + path
	}
	r, err := http.NewRequestWithContext(context.Background(), method, w.base+full, text)
	require.NoError(w.t, err)
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	w.auth(r)
	for name, values := range w.header {
		r.Header[name] = values
		if name == "Host" {
			r.Host = values[0]
		}
	}
	res, err := w.client.Do(r)
	require.NoError(w.t, err)
	w.t.Cleanup(func() { _ = res.Body.Close() })
	return res
}

// call sends a request that must be answered with a status, and reads its JSON
// into out, if that is not nil.
func (w *web) call(method, path string, body any, status int, out any) http.Header {
	w.t.Helper()
	res := w.send(method, path, body)
	text, err := io.ReadAll(res.Body)
	require.NoError(w.t, err)
	require.Equal(w.t, status, res.StatusCode, "%s %s: %s", method, path, text)
	w.conforms(method, path, res, text)
	if out != nil {
		require.NoError(w.t, json.Unmarshal(text, out), "%s", text)
	}
	return res.Header
}

func (w *web) get(path string, out any) {
	w.t.Helper()
	w.call(http.MethodGet, path, nil, http.StatusOK, out)
}

// refused is a request that must end in a problem with a status; the detail is
// returned.
func (w *web) refused(status int, method, path string, body any) string {
	w.t.Helper()
	var p struct {
		Status int    `json:"status"`
		Detail string `json:"detail"`
	}
	h := w.call(method, path, body, status, &p)
	require.Equal(w.t, "application/problem+json", h.Get("Content-Type"))
	require.Equal(w.t, status, p.Status)
	require.NotEmpty(w.t, p.Detail, "every problem says what to change")
	return p.Detail
}

// openapi is the document of a broker, compiled once.
type openapi struct {
	paths    map[string]map[string]operation
	compiler *jsonschema.Compiler
	mu       sync.Mutex // the compiler is no friend of concurrency
}

type operation struct {
	Role      string `json:"x-role"`
	Security  *[]any `json:"security"`
	Responses map[string]struct {
		Content map[string]any `json:"content"`
		Ref     string         `json:"$ref"`
	} `json:"responses"`
	RequestBody *struct{} `json:"requestBody"`
}

var documents sync.Map // base URL -> *openapi

func (w *web) document() *openapi {
	w.t.Helper()
	if d, ok := documents.Load(w.base); ok {
		return d.(*openapi)
	}
	res, err := w.client.Get(w.base + "/api/v1/openapi.json")
	require.NoError(w.t, err)
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	require.NoError(w.t, err)
	var in struct {
		Paths map[string]map[string]operation `json:"paths"`
	}
	require.NoError(w.t, json.Unmarshal(text, &in))
	whole, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	require.NoError(w.t, err)
	d := &openapi{paths: in.Paths, compiler: jsonschema.NewCompiler()}
	d.compiler.AssertFormat()
	require.NoError(w.t, d.compiler.AddResource("openapi.json", whole))
	documents.Store(w.base, d)
	return d
}

// find is the operation of a request and its path in the document.
func (d *openapi) find(method, path string) (string, operation, bool) {
	path, _, _ = strings.Cut(path, "?")
	for template, ops := range d.paths {
		if op, ok := ops[strings.ToLower(method)]; ok && fits(template, path) {
			return template, op, true
		}
	}
	return "", operation{}, false
}

func fits(template, path string) bool {
	a, b := strings.Split(template, "/"), strings.Split(path, "/")
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] && !strings.HasPrefix(a[i], "{") {
			return false
		}
	}
	return true
}

// conforms holds an answer of the API to its schema.
func (w *web) conforms(method, path string, res *http.Response, text []byte) {
	w.t.Helper()
	if strings.HasPrefix(path, "//") {
		return
	}
	d := w.document()
	template, op, ok := d.find(method, path)
	if !ok {
		require.GreaterOrEqual(w.t, res.StatusCode, 400, "%s %s is not in the document", method, path)
		return
	}
	kind, _, _ := strings.Cut(res.Header.Get("Content-Type"), ";")
	status := http.StatusText(res.StatusCode)
	where := "openapi.json#/components/responses/Problem/content/application~1problem+json/schema"
	if r, documented := op.Responses[jsonNumber(res.StatusCode)]; documented {
		if len(r.Content) == 0 {
			require.Empty(w.t, text, "%s %s %s", method, path, status)
			return
		}
		require.Contains(w.t, r.Content, kind, "%s %s", method, path)
		where = "openapi.json#/paths/" + url.PathEscape(strings.ReplaceAll(template, "/", "~1")) + "/" + strings.ToLower(method) +
			"/responses/" + jsonNumber(res.StatusCode) + "/content/" + strings.ReplaceAll(kind, "/", "~1") + "/schema"
	} else {
		require.GreaterOrEqual(w.t, res.StatusCode, 400, "%s %s: %s is not in the document", method, path, status)
	}
	d.mu.Lock()
	schema, err := d.compiler.Compile(where)
	d.mu.Unlock()
	require.NoError(w.t, err)
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	require.NoError(w.t, err, "%s", text)
	require.NoError(w.t, schema.Validate(v), "%s %s: %s", method, path, text)
}

func jsonNumber(n int) string {
	b, _ := json.Marshal(n)
	return string(b)
}

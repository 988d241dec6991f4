// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/net/netutil"
)

// Options are what a Server is made of. The configuration's section dashboard
// says what each bound is for.
type Options struct {
	Broker   Broker
	Accounts *Accounts
	Token    string // of the operator of this machine; "": none
	Audit    *Audit
	Log      zerolog.Logger
	TLS      *tls.Config // nil: plain HTTP

	// Page serves what no route does; nil: nothing is there.
	Page http.Handler
	// Metrics serves /metrics; nil: not there.
	Metrics http.Handler
	// MQTT takes connections that ask for /mqtt over; nil: not there.
	MQTT func(net.Conn)
	// Extra are the routes of other packages.
	Extra []Extension

	Local          bool // only this machine reaches the address
	AllowedHosts   []string
	OpenMetrics    bool
	SessionTTL     time.Duration
	MaxSessions    int
	LoginFailures  int
	LoginWindow    time.Duration
	MaxConnections int
	MaxBody        int64
	MaxPage        int
	MaxOffset      int
	MaxScan        int
	Timeout        time.Duration
	MaxStreams     int
	StreamBuffer   int
}

// Extension are routes under /api/v1, and what the OpenAPI document says of
// them: a YAML text with paths and components.schemas, in the form of
// openapi.yaml.
type Extension struct {
	Routes   []Route
	Document []byte
}

// Route is one method of one path. Exactly one of Handle and Stream is set.
type Route struct {
	Method string
	Path   string // below /api/v1, as http.ServeMux has it: "/clients/{id}"
	Role   Role   // that it takes
	// Change is what the audit log calls it; "" for what only looks. A route that
	// is not GET has one.
	Change string
	// Handle returns the answer: nil (204), a value (200, as JSON) or an Answer. An
	// error is a *Problem, wraps ErrNotFound or its like, or is the broker's own
	// fault (500).
	Handle func(c *Call) (any, error)
	// Stream answers by itself, for as long as it takes.
	Stream func(c *Call, w http.ResponseWriter) error
}

// Prefix is where the REST interface lives.
const Prefix = "/api/v1"

// Server is the HTTP origin.
type Server struct {
	opts     Options
	gate     *gatekeeper
	routes   []Route
	document []byte
	origins  *http.CrossOriginProtection
	hub      *hub
	streams  atomic.Int64
	http     *http.Server
	ln       net.Listener
}

// New makes a server that does not listen yet.
func New(o Options) (*Server, error) {
	s := &Server{opts: o, gate: newGatekeeper(&o), origins: http.NewCrossOriginProtection(), hub: newHub(o.StreamBuffer)}
	s.routes = append(append(s.core(), s.changes()...), s.own()...)
	documents := [][]byte{document}
	for _, e := range o.Extra {
		s.routes = append(s.routes, e.Routes...)
		documents = append(documents, e.Document)
	}
	var err error
	if s.document, err = mergeDocuments(documents); err != nil {
		return nil, err
	}
	mux, err := s.mux()
	if err != nil {
		return nil, err
	}
	s.http = &http.Server{Handler: s.guard(mux), TLSConfig: o.TLS, ReadHeaderTimeout: min(10*time.Second, o.Timeout), IdleTimeout: time.Minute,
		MaxHeaderBytes: 16 << 10, ErrorLog: log.New(lines{o.Log}, "", 0)}
	return s, nil
}

// mux makes the table of all paths.
func (s *Server) mux() (mux *http.ServeMux, err error) {
	mux = http.NewServeMux()
	defer func() { err = errors.Join(err, s.checkRoutes()) }()
	for i := range s.routes {
		r := &s.routes[i]
		mux.Handle(r.Method+" "+Prefix+r.Path, s.route(r))
	}
	mux.HandleFunc(Prefix+"/", func(w http.ResponseWriter, r *http.Request) { s.unknown(mux, w, r) })
	mux.HandleFunc("GET /livez", text(func() (bool, string) { return true, "" }))
	mux.HandleFunc("GET /readyz", text(s.opts.Broker.Ready))
	mux.Handle("GET /status", s.route(&Route{Method: http.MethodGet, Handle: s.status}))
	if s.opts.Metrics != nil {
		mux.HandleFunc("GET /metrics", s.metrics)
	}
	if s.opts.MQTT != nil {
		mux.HandleFunc("/mqtt", s.mqtt)
	}
	if s.opts.Page != nil {
		mux.Handle("/", s.opts.Page)
	}
	return mux, nil
}

// checkRoutes finds what a route must not be.
func (s *Server) checkRoutes() error {
	for _, r := range s.routes {
		switch {
		case (r.Handle == nil) == (r.Stream == nil):
			return fmt.Errorf("api: %s %s: one of Handle and Stream is needed", r.Method, r.Path)
		case r.Method != http.MethodGet && r.Change == "":
			return fmt.Errorf("api: %s %s changes something the audit log has no name for", r.Method, r.Path)
		}
	}
	return nil
}

// unknown answers what no route does: 405 where another method would.
func (s *Server) unknown(mux *http.ServeMux, w http.ResponseWriter, r *http.Request) {
	var allowed []string
	for _, m := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
		other := r.Clone(r.Context())
		other.Method = m
		if _, pattern := mux.Handler(other); pattern != "" && pattern != Prefix+"/" {
			allowed = append(allowed, m)
		}
	}
	if len(allowed) > 0 {
		w.Header().Set("Allow", strings.Join(allowed, ", "))
		Fail(http.StatusMethodNotAllowed, "%s is to be one of %s here", cut(r.Method), strings.Join(allowed, ", ")).write(w)
		return
	}
	Fail(http.StatusNotFound, "there is no %s: see %s/openapi.json", cut(r.URL.Path), Prefix).write(w)
}

// route runs a route for those who may.
func (s *Server) route(rt *Route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := &Call{Request: r, server: s, w: w}
		if rt.Stream == nil {
			ctx, cancel := context.WithTimeout(r.Context(), s.opts.Timeout)
			defer cancel()
			c.Request = r.WithContext(ctx)
		}
		err := s.admit(rt, c)
		var v any
		status := 0
		switch {
		case err != nil:
		case rt.Stream != nil:
			if err = s.stream(rt, c, w); err == nil {
				status = http.StatusOK
			}
		default:
			v, err = rt.Handle(c)
		}
		if status == 0 {
			status = c.respond(v, err)
		}
		if rt.Change != "" && worthALine(rt, c, status) {
			s.opts.Audit.add(c, rt.Change, status, err)
		}
	})
}

// worthALine reports whether the audit log gets a line: not for what nobody known
// has tried in vain, or whoever reaches the port could push every other line out.
// A wrong password has one; the limiter bounds how many.
func worthALine(rt *Route, c *Call, status int) bool {
	return c.Principal.Via != ViaNothing || rt.Role == Public && (status == http.StatusUnauthorized || status == http.StatusForbidden)
}

// admit finds out who asks and whether they may.
func (s *Server) admit(rt *Route, c *Call) error {
	var err error
	if c.Principal, err = s.gate.who(c.Request); err != nil && rt.Role != Public {
		return err
	}
	p := &c.Principal
	switch {
	case rt.Role == Public:
		return nil
	case p.Via == ViaNothing:
		return unauthorized(c.Request, "log in, or send a user and password (Basic) or an API key (Bearer)")
	case p.Via == ViaSession && rt.Change != "" && c.Header.Get(pageHeader) != pageValue:
		return csrf()
	case !p.Role.covers(rt.Role):
		return Fail(http.StatusForbidden, "%s is a %s; this takes an %s", p.Name, p.Role, rt.Role)
	}
	return nil
}

func csrf() error {
	return Fail(http.StatusForbidden, "a change through the session cookie needs the header %s: %s", pageHeader, pageValue)
}

// stream runs a route that may take for ever, while there is room for it.
func (s *Server) stream(rt *Route, c *Call, w http.ResponseWriter) error {
	defer s.streams.Add(-1)
	if s.streams.Add(1) > int64(s.opts.MaxStreams) {
		return Fail(http.StatusServiceUnavailable, "%d streams are open, as many as dashboard.max_streams allows", s.opts.MaxStreams)
	}
	rc := http.NewResponseController(w)
	_ = rc.SetReadDeadline(time.Time{})
	_ = rc.SetWriteDeadline(time.Time{}) // a stream sets its own for what it writes
	return rt.Stream(c, w)
}

func (s *Server) bounds() Bounds {
	return Bounds{Page: s.opts.MaxPage, Offset: s.opts.MaxOffset, Scan: s.opts.MaxScan}
}

// Listen binds network ("tcp" or "unix") and address and serves until Close.
func (s *Server) Listen(network, address string) error {
	ln, err := new(net.ListenConfig).Listen(context.Background(), network, address)
	if err != nil {
		return fmt.Errorf("dashboard: %w", err)
	}
	s.ln = ln
	limited := netutil.LimitListener(ln, s.opts.MaxConnections)
	go s.hub.run(s.opts.Broker)
	go func() {
		if s.opts.TLS != nil {
			err = s.http.ServeTLS(limited, "", "")
		} else {
			err = s.http.Serve(limited)
		}
		if !errors.Is(err, http.ErrServerClosed) {
			s.opts.Log.Error().Err(err).Msg("dashboard")
		}
	}()
	return nil
}

// Addr is the bound address.
func (s *Server) Addr() net.Addr { return s.ln.Addr() }

// Handler is the origin without a socket, for tests.
func (s *Server) Handler() http.Handler { return s.http.Handler }

// Routes are all routes, for the check against the document.
func (s *Server) Routes() []Route { return s.routes }

// Close ends every request and stream.
func (s *Server) Close() error {
	s.hub.close()
	return s.http.Close()
}

// lines is the log that net/http writes to.
type lines struct{ log zerolog.Logger }

// Write implements io.Writer.
func (l lines) Write(line []byte) (int, error) {
	l.log.Warn().Str("hint", "net/http").Msg(strings.TrimSpace(string(line)))
	return len(line), nil
}

// text is the answer of a probe.
func text(ask func() (bool, string)) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		ok, why := ask()
		if !ok {
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = fmt.Fprintf(w, "not ready: %s\n", why)
			return
		}
		_, _ = fmt.Fprintln(w, "ok")
	}
}

// metrics serves /metrics to everybody, or to users.
func (s *Server) metrics(w http.ResponseWriter, r *http.Request) {
	if !s.opts.OpenMetrics {
		if err := s.admit(&Route{Method: http.MethodGet, Role: Viewer}, &Call{Request: r, server: s, w: w}); err != nil {
			problemOf(err).write(w)
			return
		}
	}
	s.opts.Metrics.ServeHTTP(w, r)
}

// mqtt hands a connection over to whoever speaks MQTT over WebSocket: as it is,
// with the request in front of it again, so that the same upgrade as on the
// WebSocket listeners judges and answers it.
func (s *Server) mqtt(w http.ResponseWriter, r *http.Request) {
	if r.ProtoMajor != 1 {
		Fail(http.StatusHTTPVersionNotSupported, "use HTTP/1.1 here").write(w)
		return
	}
	uri := (&url.URL{Path: r.URL.Path, RawQuery: r.URL.RawQuery}).RequestURI()
	head := &strings.Builder{}
	_, _ = fmt.Fprintf(head, "%s %s HTTP/1.%d\r\nHost: %s\r\n", r.Method, uri, r.ProtoMinor, r.Host)
	_ = r.Header.Write(head)
	_, _ = head.WriteString("\r\n")
	nc, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		problemOf(err).write(w)
		return
	}
	_ = nc.SetDeadline(time.Time{})
	read, _ := rw.Reader.Peek(rw.Reader.Buffered())
	s.opts.MQTT(&replayed{Conn: nc, head: append([]byte(head.String()), read...)})
}

// replayed is a connection from which some bytes are read again.
type replayed struct {
	net.Conn
	head []byte
}

// Read implements net.Conn.
func (r *replayed) Read(b []byte) (int, error) {
	if len(r.head) > 0 {
		n := copy(b, r.head)
		r.head = r.head[n:]
		return n, nil
	}
	return r.Conn.Read(b)
}

// CloseWrite ends our half, where the connection can.
func (r *replayed) CloseWrite() error {
	if cw, ok := r.Conn.(interface{ CloseWrite() error }); ok {
		return cw.CloseWrite()
	}
	return r.Close()
}

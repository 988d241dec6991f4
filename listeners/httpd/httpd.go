// SPDX-License-Identifier: Apache-2.0

// Package httpd is the http listener actor: the port on which WebSocket upgrades
// arrive, and emqttd's small HTTP interface beside them. It is emqttd_http.
//
//	GET /mqtt           upgrade to MQTT (listeners/ws answers wrong ones)
//	GET /status         Node emqttd@127.0.0.1 is started / emqttd is running
//	POST /mqtt/publish  publish, for whoever authenticates as a client would
//
// Each request is a message that the actor decides about; in emqttd a malformed
// one crashed the connection without an answer. Supervised by esockd_sup,
// one_for_one.
package httpd

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"emqttd/actors/access"
	"emqttd/actors/access/acl"
	"emqttd/actors/cast"
	"emqttd/actors/protocol"
	"emqttd/actors/session"
	"emqttd/listeners/internal/conn"
	"emqttd/listeners/tcp"
	"emqttd/listeners/ws"
	"emqttd/protocol/message"
	"emqttd/protocol/packet"
	"emqttd/protocol/topic"
	"emqttd/supervisor/cell"
	"emqttd/supervisor/mailbox"
)

// Memory is what the actor of one port knows.
type Memory struct {
	*tcp.Gate
	Env     *cast.Env
	Pub     *session.Publisher
	Access  func() *protocol.Gate // who may publish through it
	Status  bool
	Publish bool
	cell    *cell.Cell
}

// Kind makes the actor kind of a port.
func Kind(m *Memory, log zerolog.Logger) *cell.Kind {
	return &cell.Kind{Name: "http_listener", Module: "emqttd_http", New: func(c *cell.Cell) cell.Stage {
		m.cell = c
		return &listener{m, log}
	}}
}

// request is a plain HTTP request. core -> self.
type request struct {
	mailbox.Link
	conn *conn.Conn
	http *http.Request
	body []byte
}

// checked is a publish whose credentials were looked at on the pool. pool ->
// self.
type checked struct {
	mailbox.Link
	request *request
	form    url.Values
	verdict access.Verdict
	subject acl.Subject
}

// Serve hands a request to the actor. It is conn.Listener's hook.
func (m *Memory) Serve(self *cell.Cell) func(*conn.Conn, *http.Request, []byte) {
	return func(c *conn.Conn, r *http.Request, body []byte) {
		self.Push(&request{conn: c, http: r, body: append([]byte(nil), body...)})
	}
}

// Refused logs an upgrade that was not granted. It is conn.Listener's hook.
func (m *Memory) Refused(c *conn.Conn, r *ws.Refusal) {
	m.Env.Log.Info().Str("conn", c.Conn().Name()).Stringer("peer", c.Peer()).Int("status", r.Status).
		Str("label", r.Label).Str("hint", r.Sentence).Msg("upgrade refused")
}

type listener struct {
	*Memory
	log zerolog.Logger
}

// Receive implements cell.Stage.
func (l *listener) Receive(ctx *cell.Context) {
	switch msg := ctx.Message().(type) {
	case *conn.Knock:
		l.Knock(ctx, msg)
	case *request:
		ctx.Keep()
		l.request(ctx, msg)
	case *checked:
		l.checked(ctx, msg)
	case *cell.Poison:
		l.poison(ctx, msg)
	case *cell.Skip:
	default:
		l.log.Warn().Str("actor", ctx.Self().Name()).Type("message", msg).Msg("unexpected message")
	}
}

func (l *listener) request(ctx *cell.Context, r *request) {
	switch path := r.http.URL.Path; {
	case path == "/status" && l.Status && (r.http.Method == http.MethodGet || r.http.Method == http.MethodHead):
		// emqttd's two lines of text.
		respond(ctx, r, http.StatusOK, "Node "+l.Env.Node+" is started\nemqttd is running")
	case path == "/mqtt/publish" && l.Publish && r.http.Method == http.MethodPost:
		l.publish(ctx, r)
	default:
		respond(ctx, r, http.StatusNotFound, "Not found.\n")
	}
}

func respond(ctx *cell.Context, r *request, status int, text string) {
	ctx.Submit(r.conn.Responder(), &conn.Response{Status: status, Text: text})
}

// publish checks the form and the credentials: Basic, checked by the chain that
// MQTT clients pass.
func (l *listener) publish(ctx *cell.Context, r *request) {
	form, err := url.ParseQuery(string(r.body))
	if err != nil {
		respond(ctx, r, http.StatusBadRequest, "Bad Form\nThe body is to be application/x-www-form-urlencoded.\n")
		return
	}
	gate := l.Access()
	user, password, has := r.http.BasicAuth()
	c := r.conn.Conn()
	ar := &access.Request{At: time.Unix(0, ctx.Now()), ClientID: clientOf(form), Username: user, HasUsername: has,
		Password: []byte(password), HasPassword: has, Peer: c.Peer, Listener: c.Listener.Name, Version: packet.V311}
	if v, done := gate.Chain.Try(ar); done {
		l.decide(ctx, r, form, v, v.Subject(ar))
		return
	}
	ctx.Submit(&checker{gate, ctx.Self(), ar}, &checked{request: r, form: form})
}

func clientOf(form url.Values) string {
	if id := form.Get("client"); id != "" {
		return id
	}
	return "http"
}

// checker hands a password check to the pool (cell.Acceptor).
type checker struct {
	gate *protocol.Gate
	self *cell.Cell
	r    *access.Request
}

// Accept implements cell.Acceptor.
func (c *checker) Accept(m cell.Message) {
	done := m.(*checked)
	if !c.gate.Pool.Try(func() {
		done.verdict = c.gate.Chain.Check(c.r)
		done.subject = done.verdict.Subject(c.r)
		c.self.Push(done)
	}) {
		done.verdict = access.Verdict{Answer: access.Answer{Outcome: access.Deny, Code: packet.ServerBusy}}
		c.self.Push(done)
	}
}

func (l *listener) checked(ctx *cell.Context, msg *checked) {
	l.decide(ctx, msg.request, msg.form, msg.verdict, msg.subject)
}

// decide publishes to every topic of the form, or to none.
func (l *listener) decide(ctx *cell.Context, r *request, form url.Values, v access.Verdict, subject acl.Subject) {
	if v.Outcome != access.OK {
		respond(ctx, r, http.StatusUnauthorized, "Unauthorized\nPublishing needs the user name and password of a client, as Basic authentication.\n")
		return
	}
	qos, ok := qosOf(form.Get("qos"))
	if !ok {
		respond(ctx, r, http.StatusBadRequest, "Bad QoS")
		return
	}
	topics := topicsOf(form)
	lim := l.Env.Limits()
	if len(topics) == 0 || len(topics) > lim.MaxFilters {
		respond(ctx, r, http.StatusBadRequest, "Bad Topics")
		return
	}
	retain := form.Get("retain") == "1" || form.Get("retain") == "true"
	payload := []byte(form.Get("message"))
	for _, name := range topics {
		if topic.ValidName(name, lim.Topics) != nil || !packet.ValidText([]byte(name)) {
			respond(ctx, r, http.StatusBadRequest, "Bad Topics")
			return
		}
		op := acl.Operation{Action: acl.Publish, Topic: name, QoS: qos, Retain: retain}
		if rules := l.Access().Rules; rules != nil && !rules.Check(&subject, op).Allowed() {
			respond(ctx, r, http.StatusForbidden, "Forbidden\nThe access rules do not allow this user to publish to "+name+".\n")
			return
		}
	}
	for _, name := range topics {
		l.Pub.Publish(ctx, &message.Message{From: clientOf(form), Topic: name, Payload: payload, QoS: qos, Retain: retain, At: ctx.Now()}, session.Publishing{})
	}
	respond(ctx, r, http.StatusOK, "ok")
}

func qosOf(s string) (packet.QoS, bool) {
	switch s {
	case "", "0":
		return packet.QoS0, true
	case "1":
		return packet.QoS1, true
	case "2":
		return packet.QoS2, true
	}
	return 0, false
}

func topicsOf(form url.Values) []string {
	var out []string
	for _, t := range append(strings.Split(form.Get("topics"), ","), form.Get("topic")) {
		if t != "" {
			out = append(out, t)
		}
	}
	return out
}

func (l *listener) poison(ctx *cell.Context, p *cell.Poison) {
	switch m := p.Message.(type) {
	case *request:
		respond(ctx, m, http.StatusInternalServerError, "Internal Server Error\n")
	case *checked:
		respond(ctx, m.request, http.StatusInternalServerError, "Internal Server Error\n")
	default:
		l.Poison(ctx, p)
	}
}

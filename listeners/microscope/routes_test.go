// SPDX-License-Identifier: Apache-2.0

package microscope_test

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"emqttd/listeners/microscope"
	"emqttd/supervisor/broker/brokertest"
)

// rest is a user of the microscope's routes.
type rest struct {
	t    testing.TB
	base string
	user string
	tab  string
}

func served(t testing.TB, sets ...string) (*brokertest.Broker, func(user string) *rest) {
	b := brokertest.Start(t, append([]string{"dashboard.bind=127.0.0.1:0", "dashboard.viewers={eve: secret, bob: secret}",
		"dashboard.administrators={root: secret}"}, sets...)...)
	return b, func(user string) *rest {
		return &rest{t, "http://" + b.Addr("dashboard").String() + "/api/v1/microscope", user, tabName}
	}
}

func (r *rest) request(method, path string, body any) *http.Response {
	r.t.Helper()
	var in io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		require.NoError(r.t, err)
		in = bytes.NewReader(text)
	}
	if r.tab != "" {
		path += map[bool]string{true: "&", false: "?"}[strings.Contains(path, "?")] + "tab=" + r.tab
	}
	q, err := http.NewRequestWithContext(r.t.Context(), method, r.base+path, in)
	require.NoError(r.t, err)
	q.SetBasicAuth(r.user, "secret")
	if body != nil {
		q.Header.Set("Content-Type", "application/json")
	}
	res, err := http.DefaultClient.Do(q)
	require.NoError(r.t, err)
	r.t.Cleanup(func() { _ = res.Body.Close() })
	return res
}

func (r *rest) ask(method, path string, body any) (int, string) {
	r.t.Helper()
	res := r.request(method, path, body)
	text, err := io.ReadAll(res.Body)
	require.NoError(r.t, err)
	return res.StatusCode, string(text)
}

func (r *rest) done(method, path string, body any) string {
	r.t.Helper()
	status, text := r.ask(method, path, body)
	require.Less(r.t, status, 300, text)
	return text
}

// events reads the stream.
func (r *rest) events() func() microscope.Event {
	r.t.Helper()
	res := r.request(http.MethodGet, "/events", nil)
	require.Equal(r.t, http.StatusOK, res.StatusCode)
	lines := bufio.NewScanner(res.Body)
	lines.Buffer(nil, 1<<20)
	return func() (e microscope.Event) {
		r.t.Helper()
		for lines.Scan() {
			if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
				require.NoError(r.t, json.Unmarshal([]byte(data), &e))
				return e
			}
		}
		r.t.Fatal("the stream ended: ", lines.Err())
		return e
	}
}

func (r *rest) open(url string) microscope.View {
	r.t.Helper()
	var v microscope.View
	require.NoError(r.t, json.Unmarshal([]byte(r.done("POST", "/connections", map[string]any{"url": url})), &v))
	return v
}

func TestTheArticleOverREST(t *testing.T) {
	b, as := served(t)
	eve := as("eve")
	next := eve.events()
	until := func(found func(microscope.Event) bool) microscope.Event {
		for {
			if e := next(); found(e) {
				return e
			}
		}
	}
	// The dashboard's own /mqtt, so that no other port is needed.
	v := eve.open("ws://" + b.Addr("dashboard").String() + "/mqtt")
	require.True(t, v.Own)
	until(func(e microscope.Event) bool { return e.State != nil && e.State.Phase == microscope.Open })
	path := "/connections/" + v.ID
	eve.done("POST", path+"/send", microscope.Order{Packet: connect(), Cut: microscope.Cut{How: "fields"}})
	var more []int
	until(func(e microscope.Event) bool {
		if e.Hop != nil && e.Hop.More != nil {
			more = append(more, e.Hop.More.Want)
		}
		return e.Packet != nil && e.Packet.Type == "CONNACK"
	})
	require.Equal(t, []int{1, 51, 49, 45, 44, 43, 41, 39, 24, 22, 10, 8, 2}, more)
	require.Contains(t, eve.done("GET", "/connections", nil), `"phase":"open"`)
	eve.done("PATCH", path, map[string]bool{"answers": false})

	text := eve.done("GET", path+"/recording?format=text", nil)
	require.Contains(t, text, "MQTT CONNECT 861694030142473, 53 bytes in 13 frames")
	require.NotContains(t, text, "12345678", "passwords are covered unless asked for")
	require.Contains(t, eve.done("GET", path+"/recording?format=text&passwords=true", nil), "12345678")
	require.Equal(t, "\x0a\x0d\x0d\x0a", eve.done("GET", path+"/recording?format=pcapng", nil)[:4])
	status, _ := eve.ask("GET", path+"/recording?format=x", nil)
	require.Equal(t, http.StatusBadRequest, status)

	eve.done("POST", path+"/close", map[string]bool{"abrupt": true})
	until(func(e microscope.Event) bool { return e.State != nil && e.State.Phase == microscope.Closed })
	status, problem := eve.ask("POST", path+"/send", microscope.Order{Packet: connect()})
	require.Equal(t, http.StatusUnprocessableEntity, status)
	require.Contains(t, problem, "not open")
	eve.done("DELETE", path, nil)
	require.Equal(t, "[]\n", eve.done("GET", "/connections", nil))
	status, _ = eve.ask("DELETE", path, nil)
	require.Equal(t, http.StatusNotFound, status)
}

func TestWhoSeesWhat(t *testing.T) {
	b, as := served(t)
	eve, bob, root := as("eve"), as("bob"), as("root")
	v := eve.open(b.WS())
	path := "/connections/" + v.ID
	for _, what := range []string{path + "/recording", "/all", "/all/1/recording"} {
		status, text := bob.ask("GET", what, nil)
		require.Contains(t, []int{http.StatusForbidden, http.StatusNotFound}, status, text)
	}
	eve.done("POST", path+"/send", microscope.Order{Packet: connect(), Cut: microscope.Cut{How: "fields"}})
	require.Eventually(t, func() bool { return strings.Contains(eve.done("GET", path+"/recording", nil), "CONNACK") }, patience, 5*time.Millisecond)
	require.Contains(t, root.done("GET", "/all", nil), `"owner":"eve"`)
	covered := root.done("GET", "/all/1/recording", nil)
	require.Contains(t, covered, "CONNECT 861694030142473")
	require.NotContains(t, covered, "12345678")
	require.Contains(t, root.done("GET", "/all/1/recording?reveal=true", nil), "12345678")
	audit := (&rest{t, strings.TrimSuffix(root.base, "/microscope"), "root", ""}).done("GET", "/audit", nil)
	require.Contains(t, audit, `"action":"microscope.look"`)
	require.Contains(t, audit, `"revealed":true`)
	require.Contains(t, audit, `"action":"microscope.send"`)
	require.NotContains(t, audit, "12345678")

	status, text := eve.ask("POST", "/connections", map[string]any{"url": "ws://192.0.2.1/mqtt"})
	require.Equal(t, http.StatusUnprocessableEntity, status)
	require.Contains(t, text, "for administrators")
	status, _ = eve.ask("POST", "/connections", map[string]any{"ulr": "x"})
	require.Equal(t, http.StatusBadRequest, status)
	require.Contains(t, eve.done("GET", "", nil), `"name":"ws:default"`)
	require.Contains(t, eve.done("POST", "/preview", microscope.Order{Packet: connect(), Cut: microscope.Cut{How: "fields"}}), `"pieces":[1,1,2,4,1,1,2,2,15,2,12,2,8]`)
}

func TestTheMicroscopeCanBeTurnedOff(t *testing.T) {
	_, as := served(t, "dashboard.microscope.enabled=false")
	status, _ := as("root").ask("GET", "", nil)
	require.Equal(t, http.StatusNotFound, status)
}

func TestSecureWebSocketIsSeenInTheClear(t *testing.T) {
	cert, key := certificate(t)
	s := newScope(t, limits(), "listeners.wss.default.bind=127.0.0.1:0", "listeners.wss.default.tls.cert_file="+cert, "listeners.wss.default.tls.key_file="+key)
	url := "wss://" + s.b.Addr("listeners.wss.default").String() + "/mqtt"
	id := s.open(url, microscope.Upgrade{})
	s.send(id, microscope.Order{Packet: connect(), Cut: microscope.Cut{How: "fields"}})
	require.Equal(t, dehex(t, "20 02 00 00"), s.packet(id, "CONNACK", 0).Bytes)
	require.Contains(t, s.until(id, "TLS", func(e *microscope.Event) bool { return e.State != nil && e.State.TLS != "" }).State.TLS, "TLS 1.3")
	// Of a broker that is not our own the certificate is checked.
	m := microscope.New(microscope.Options{Limits: limits(), Doors: func() []microscope.Door { return nil }})
	defer m.Close()
	far := &scope{m, t, s.b}
	require.Contains(t, far.closed(far.open(url, microscope.Upgrade{})), "for another name")
}

// certificate makes one for a name that is not the address.
func certificate(t *testing.T) (cert, key string) {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	c := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"broker.example"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &k.PublicKey, k)
	require.NoError(t, err)
	kd, err := x509.MarshalPKCS8PrivateKey(k)
	require.NoError(t, err)
	cert, key = filepath.Join(t.TempDir(), "cert.pem"), filepath.Join(t.TempDir(), "key.pem")
	require.NoError(t, os.WriteFile(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	require.NoError(t, os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: kd}), 0o600))
	return cert, key
}

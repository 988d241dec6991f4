// SPDX-License-Identifier: Apache-2.0

package browsertest_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"emqttd/listeners/dashboard/browsertest"
)

const document = `<!doctype html><meta name=viewport content="width=device-width"><title>x</title><label for=a>Name</label><input id=a><button onclick="p.textContent = 'hello ' + a.value">Say</button>
<p id=p></p><img src="http://example.org/x.png"><script>addEventListener('keydown', e => { if (e.key === 'Escape') throw new Error('no way out') })</script>`

func TestTheHarnessSeesClicksAndReports(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, document)
	}))
	defer srv.Close()
	p := browsertest.Start(t).Page()
	p.Open(srv.URL)
	p.Fill("Name", "world")
	p.Press("Say")
	p.WaitText("hello world")
	require.Contains(t, p.Requests(), "http://example.org/x.png")
	require.Empty(t, p.Faults())
	p.Key("Escape")
	p.Wait("true")
	require.Len(t, p.Faults(), 1)
	require.Contains(t, p.Faults()[0], "no way out")

	p.Size(390, 844)
	require.Empty(t, p.Overflow())
	p.Eval(nil, "document.body.insertAdjacentHTML('beforeend', '<pre style=\"width:900px\">wide</pre>')")
	require.Contains(t, p.Overflow(), "PRE")

	dir := t.TempDir()
	p.Shot(dir, "x")
	shot, err := os.ReadFile(filepath.Join(dir, "x.png"))
	require.NoError(t, err)
	require.Equal(t, "\x89PNG", string(shot[:4]))
}

// SPDX-License-Identifier: Apache-2.0

package browsertest_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
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

// Grey 767676 on white is 4.54:1 and grey 777777 is 4.48:1, on either side of what
// WCAG asks for.
const plain = `<!doctype html><meta name=viewport content="width=device-width"><style>
	body { color: #000 } :focus-visible { outline: 2px solid #06c }
	.mute:focus-visible { outline: none } .pale:focus-visible { outline-color: #ddd }
	i::before { content: 'mark'; color: #777777 } input::placeholder { color: #999 }
</style><title>x</title>
<p style="color: #767676">just enough</p><p style="color: #777777">too little</p>
<p style="color: #949494; font-size: 24px">large enough</p><p style="color: #959595; font-size: 24px">large, too little</p>
<div style="background: #000"><p>black on black</p><p style="background: rgb(255 255 255 / 90%)">on a veil</p></div>
<p style="opacity: 0.4">faint</p><p hidden style="color: #fff">nowhere</p><button disabled style="color: #eee">off</button>
<i>  </i><input placeholder="hint"><a href="#">link</a><button class=mute>mute</button><button class=pale>pale</button>`

func TestTheHarnessFindsWhatIsHardToSee(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, plain)
	}))
	defer srv.Close()
	p := browsertest.Start(t).Page()
	p.Open(srv.URL)
	contrast, focus := p.Looks()
	all := strings.Join(contrast, "\n")
	for _, bad := range []string{"4.48 < 4.5: p \"too little\"", "large, too little", "black on black", "faint", "i::before", "::placeholder \"hint\""} {
		require.Contains(t, all, bad)
	}
	require.Len(t, contrast, 6, all)
	require.Equal(t, []string{`button.mute "mute" shows no focus`, `button.pale "pale" shows a focus of 1.36, which is less than 3`}, focus)
}

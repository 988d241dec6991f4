// SPDX-License-Identifier: Apache-2.0

package dashboard

import (
	"bytes"
	"compress/gzip"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

// ask sends one request to the handler.
func ask(method, target string, header map[string]string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, nil)
	for k, v := range header {
		r.Header.Set(k, v)
	}
	w := httptest.NewRecorder()
	Handler().ServeHTTP(w, r)
	return w
}

func TestPage(t *testing.T) {
	t.Run("the document names each file with its hash", func(t *testing.T) {
		w := ask("GET", "/", nil)
		require.Equal(t, http.StatusOK, w.Code)
		require.Equal(t, "text/html; charset=utf-8", w.Header().Get("Content-Type"))
		require.Equal(t, "no-cache", w.Header().Get("Cache-Control"))
		refs := regexp.MustCompile(`(?:src|href)="([^"/]+)"`).FindAllStringSubmatch(w.Body.String(), -1)
		require.Len(t, refs, 4)
		for _, ref := range refs {
			require.Contains(t, ref[1], "?v=")
			file := ask("GET", "/"+ref[1], nil)
			require.Equal(t, http.StatusOK, file.Code, ref[1])
			require.Equal(t, "public, max-age=31536000, immutable", file.Header().Get("Cache-Control"))
			require.NotEmpty(t, file.Body.Bytes())
		}
	})
	t.Run("a file with another hash is not kept", func(t *testing.T) {
		require.Equal(t, "no-cache", ask("GET", "/app.js?v=old", nil).Header().Get("Cache-Control"))
	})
	t.Run("an unchanged copy is not sent again", func(t *testing.T) {
		tag := ask("GET", "/app.js", nil).Header().Get("ETag")
		for _, have := range []string{tag, "W/" + tag, `"x", ` + tag} {
			w := ask("GET", "/app.js", map[string]string{"If-None-Match": have})
			require.Equal(t, http.StatusNotModified, w.Code)
			require.Empty(t, w.Body.Bytes())
		}
		require.Equal(t, http.StatusOK, ask("GET", "/app.js", map[string]string{"If-None-Match": `"x"`}).Code)
	})
	t.Run("a browser that unpacks gets it packed, the same bytes", func(t *testing.T) {
		plain := ask("GET", "/app.js", nil)
		packed := ask("GET", "/app.js", map[string]string{"Accept-Encoding": "gzip, br"})
		require.Equal(t, "gzip", packed.Header().Get("Content-Encoding"))
		z, err := gzip.NewReader(packed.Body)
		require.NoError(t, err)
		unpacked, err := io.ReadAll(z)
		require.NoError(t, err)
		require.Equal(t, plain.Body.Bytes(), unpacked)
	})
	t.Run("HEAD has no body, POST is refused, other paths are not found", func(t *testing.T) {
		require.Empty(t, ask("HEAD", "/", nil).Body.Bytes())
		require.Equal(t, http.StatusMethodNotAllowed, ask("POST", "/", nil).Code)
		for _, path := range []string{"/index.html", "/dist/app.js", "/nothing"} {
			require.Equal(t, http.StatusNotFound, ask("GET", path, nil).Code, path)
		}
	})
}

// The server's policy forbids inline code, so there must be none, and nothing may
// come from another host: the page works without a network.
func TestThePageHasNothingInlineAndNothingForeign(t *testing.T) {
	document := ask("GET", "/", nil).Body.String()
	require.NotRegexp(t, `<script[^>]*>\s*[^<\s]|<style|\son\w+=|\sstyle=`, document)
	foreign := regexp.MustCompile(`(?:https?:)?//[a-z0-9.-]+\.[a-z]{2,}`)
	for _, name := range []string{"/", "/app.css", "/app.js", "/theme.js", "/icon.svg"} {
		for _, url := range foreign.FindAllString(ask("GET", name, nil).Body.String(), -1) {
			// Names of XML vocabularies, never asked for.
			require.Regexp(t, `^http://www\.w3\.org$`, url, name)
		}
	}
}

// dist/ is what the sources give. Where the tools of web/ are not installed
// this is not known, except that CI has to know it.
func TestDistIsWhatTheSourcesGive(t *testing.T) {
	node, err := exec.LookPath("node")
	if err != nil {
		missing(t, "node is not installed")
	}
	web, err := filepath.Abs("web")
	require.NoError(t, err)
	if _, err := os.Stat(filepath.Join(web, "node_modules")); err != nil {
		if os.Getenv("CI") == "" {
			t.Skip("web/node_modules is not there: npm --prefix listeners/dashboard/web ci")
		}
		install := exec.CommandContext(t.Context(), "npm", "--prefix", web, "ci", "--silent")
		out, err := install.CombinedOutput()
		require.NoError(t, err, "npm ci: %s", out)
	}
	out := t.TempDir()
	said, err := exec.CommandContext(t.Context(), node, filepath.Join(web, "build.mjs"), out).CombinedOutput()
	require.NoError(t, err, string(said))
	require.Equal(t, folder(t, os.DirFS(out)), folder(t, os.DirFS("dist")), "run: go generate ./listeners/dashboard")
}

// folder is a folder's files by name.
func folder(t *testing.T, files fs.FS) map[string]string {
	t.Helper()
	all := map[string]string{}
	entries, err := fs.ReadDir(files, ".")
	require.NoError(t, err)
	for _, e := range entries {
		data, err := fs.ReadFile(files, e.Name())
		require.NoError(t, err)
		all[e.Name()] = string(bytes.TrimSpace(data))
	}
	return all
}

func missing(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatal(what + ", and CI is set")
	}
	t.Skip(what)
}

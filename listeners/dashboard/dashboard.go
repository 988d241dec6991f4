// SPDX-License-Identifier: Apache-2.0

package dashboard

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"
)

//go:embed dist
var dist embed.FS

// asset is one file, ready to be sent.
type asset struct {
	plain, packed []byte // packed: gzip, nil where it is not smaller
	kind          string // Content-Type
	tag           string // quoted hash of plain
}

// page is the handler: everything is in memory, nothing changes.
type page struct {
	assets map[string]*asset // by URL path
}

// Handler serves the page at / and its files beside it. Anything else is 404. The
// headers that keep the page to itself are the server's (listeners/api); the page
// has nothing inline and nothing from another host, so that they may be strict.
//
// A file is asked for with the hash of its contents (app.js?v=...) and may be
// kept for ever; the document, which names the hashes, is asked for again each
// time and is mostly answered with 304.
func Handler() http.Handler { return load(dist) }

// load reads what the build wrote. It panics where that is not whole: the files
// are part of the program.
func load(files fs.FS) *page {
	p := &page{assets: map[string]*asset{}}
	names, err := fs.Glob(files, "dist/*")
	if err != nil {
		panic(err)
	}
	for _, name := range names {
		data, err := fs.ReadFile(files, name)
		if err != nil {
			panic(err)
		}
		p.assets["/"+path.Base(name)] = newAsset(path.Ext(name), data)
	}
	document := p.assets["/index.html"]
	if document == nil {
		panic("dashboard: dist has no index.html: go generate ./listeners/dashboard")
	}
	delete(p.assets, "/index.html")
	p.assets["/"] = newAsset(".html", p.version(document.plain))
	return p
}

// version writes the hash of each file behind its name in the document.
func (p *page) version(document []byte) []byte {
	var pairs []string
	for name, a := range p.assets {
		quoted := `"` + strings.TrimPrefix(name, "/") + `"`
		pairs = append(pairs, quoted, strings.TrimSuffix(quoted, `"`)+"?v="+strings.Trim(a.tag, `"`)+`"`)
	}
	return []byte(strings.NewReplacer(pairs...).Replace(string(document)))
}

func newAsset(ext string, data []byte) *asset {
	sum := sha256.Sum256(data)
	a := &asset{plain: data, kind: mime.TypeByExtension(ext), tag: `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`}
	switch ext { // not what a machine's table of types says
	case ".js":
		a.kind = "text/javascript; charset=utf-8"
	case ".html":
		a.kind = "text/html; charset=utf-8"
	case ".css":
		a.kind = "text/css; charset=utf-8"
	case ".svg":
		a.kind = "image/svg+xml"
	}
	var buf bytes.Buffer
	w, _ := gzip.NewWriterLevel(&buf, gzip.BestCompression) // a level that exists
	_, _ = w.Write(data)                                    // memory does not fail
	_ = w.Close()
	if buf.Len() < len(data) {
		a.packed = buf.Bytes()
	}
	return a
}

// ServeHTTP implements http.Handler.
func (p *page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a := p.assets[r.URL.Path]
	if a == nil {
		http.Error(w, "Not found. The page is at /.", http.StatusNotFound)
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "The page can only be read.", http.StatusMethodNotAllowed)
		return
	}
	h := w.Header()
	h.Set("Content-Type", a.kind)
	h.Set("ETag", a.tag)
	h.Set("Vary", "Accept-Encoding")
	if v := r.URL.Query().Get("v"); v != "" && `"`+v+`"` == a.tag {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	} else {
		h.Set("Cache-Control", "no-cache")
	}
	if unchanged(r.Header.Get("If-None-Match"), a.tag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	body := a.plain
	if a.packed != nil && strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		h.Set("Content-Encoding", "gzip")
		body = a.packed
	}
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodGet {
		_, _ = w.Write(body) // who went away gets nothing
	}
}

// unchanged reports whether the browser's copy is the present one [RFC 9110
// 13.1.2]. A proxy that packs the answer anew marks the tag as weak.
func unchanged(header, tag string) bool {
	for t := range strings.SplitSeq(header, ",") {
		if strings.TrimPrefix(strings.TrimSpace(t), "W/") == tag {
			return true
		}
	}
	return false
}

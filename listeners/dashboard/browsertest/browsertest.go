// SPDX-License-Identifier: Apache-2.0

// Package browsertest drives a headless Chromium for tests of the page: real
// clicks, real keys, screenshots. A test that asks for a browser is skipped on a
// machine that has none, and fails there when CI is set.
//
// It speaks the DevTools protocol through a pipe, so no port is opened. It does
// the dozen things our tests need; the libraries for it bring the whole protocol
// along, half a minute of compiling on two cores.
package browsertest

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// patience is how long a test waits for the browser, or for what it is to show.
const patience = 20 * time.Second

// names are what distributions call the browser.
var names = []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"}

// Browser is a running browser.
type Browser struct {
	t   testing.TB
	cmd *exec.Cmd
	in  io.WriteCloser

	mu      sync.Mutex
	last    int
	waiting map[int]chan answer
	pages   map[string]*Page // by session
	gone    error            // why no answer comes any more
}

type answer struct {
	result json.RawMessage
	err    error
}

// message is what goes through the pipe, both ways.
type message struct {
	ID      int             `json:"id,omitempty"`
	Session string          `json:"sessionId,omitempty"`
	Method  string          `json:"method,omitempty"`
	Params  any             `json:"params,omitempty"`
	Result  json.RawMessage `json:"result,omitempty"`
	Error   *struct {
		Message string `json:"message"`
	} `json:"error,omitempty"`
}

// Start starts a browser that the test's end stops. Names other than loopback's
// do not resolve in it: whatever is asked of another host fails. With -short the test
// is skipped.
func Start(t testing.TB) *Browser {
	t.Helper()
	if testing.Short() {
		t.Skip("-short: tests in a browser take long")
	}
	program := find(t)
	args := []string{
		"--headless=new", "--remote-debugging-pipe", "--user-data-dir=" + profile(t),
		"--no-first-run", "--no-default-browser-check", "--disable-gpu", "--disable-extensions", "--disable-sync",
		"--disable-background-networking", "--disable-background-timer-throttling", "--disable-renderer-backgrounding", "--disable-backgrounding-occluded-windows",
		"--disable-component-update", "--disable-dev-shm-usage", "--hide-scrollbars",
		"--force-color-profile=srgb", "--lang=en-GB", "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1 , EXCLUDE localhost",
	}
	if os.Geteuid() == 0 {
		args = append(args, "--no-sandbox") // which refuses to run as root
	}
	inR, inW, err := os.Pipe()
	must(t, err)
	outR, outW, err := os.Pipe()
	must(t, err)
	cmd := exec.Command(program, append(args, "about:blank")...)
	cmd.ExtraFiles = []*os.File{inR, outW} // descriptors 3 and 4
	cmd.WaitDelay = patience
	must(t, cmd.Start())
	must(t, errors.Join(inR.Close(), outW.Close()))
	b := &Browser{t: t, cmd: cmd, in: inW, waiting: map[int]chan answer{}, pages: map[string]*Page{}}
	done := make(chan struct{})
	go func() {
		defer close(done)
		b.read(outR)
	}()
	t.Cleanup(func() {
		_, _ = b.call("", "Browser.close", nil) // no answer is one, too
		_ = inW.Close()
		<-done
		_ = cmd.Wait()
	})
	return b
}

// find is the browser's program. CHROMIUM names another one.
func find(t testing.TB) string {
	t.Helper()
	for _, name := range append([]string{os.Getenv("CHROMIUM")}, names...) {
		if name == "" {
			continue
		}
		if program, err := exec.LookPath(name); err == nil {
			return program
		}
	}
	const what = "no browser is installed (Debian's package chromium)"
	if os.Getenv("CI") != "" {
		t.Fatal(what + ", and CI is set")
	}
	t.Skip(what)
	return ""
}

// profile is a folder for the browser's data. It is removed without complaint:
// helpers of the browser may still write to it while they end.
func profile(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "browsertest-") //nolint:usetesting // whose folder must be removable
	must(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// read hands each message to whom it is for, until the browser is gone.
func (b *Browser) read(r io.ReadCloser) {
	defer func() { _ = r.Close() }()
	in := bufio.NewReader(r)
	for {
		text, err := in.ReadBytes(0)
		if err != nil {
			b.end(err)
			return
		}
		var m struct {
			message
			Params json.RawMessage `json:"params"`
		}
		if err := json.Unmarshal(text[:len(text)-1], &m); err != nil {
			b.end(err)
			return
		}
		b.mu.Lock()
		waiter, page := b.waiting[m.ID], b.pages[m.Session]
		delete(b.waiting, m.ID)
		b.mu.Unlock()
		switch {
		case m.ID != 0 && waiter != nil:
			a := answer{result: m.Result}
			if m.Error != nil {
				a.err = errors.New(m.Error.Message)
			}
			waiter <- a
		case page != nil:
			page.event(m.Method, m.Params)
		}
	}
}

func (b *Browser) end(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.gone = fmt.Errorf("the browser is gone: %w", err)
	for id, w := range b.waiting {
		w <- answer{err: b.gone}
		delete(b.waiting, id)
	}
}

// call sends one command and waits for its answer.
func (b *Browser) call(session, method string, params any) (json.RawMessage, error) {
	wait := make(chan answer, 1)
	b.mu.Lock()
	if b.gone != nil {
		b.mu.Unlock()
		return nil, b.gone
	}
	b.last++
	id := b.last
	text, err := json.Marshal(message{ID: id, Session: session, Method: method, Params: params})
	if err == nil {
		b.waiting[id] = wait
		_, err = b.in.Write(append(text, 0))
	}
	b.mu.Unlock()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()
	select {
	case a := <-wait:
		return a.result, a.err
	case <-ctx.Done():
		return nil, fmt.Errorf("%s: no answer", method)
	}
}

// must ends the test on an error of the harness itself.
func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Shots is the folder for screenshots, BROWSERTEST_SHOTS. "" without it: nobody looks
// at them then, and each costs half a second.
func Shots(t testing.TB) string {
	t.Helper()
	dir := os.Getenv("BROWSERTEST_SHOTS")
	if dir == "" {
		return ""
	}
	must(t, os.MkdirAll(dir, 0o750))
	dir, err := filepath.Abs(dir)
	must(t, err)
	return dir
}

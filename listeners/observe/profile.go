// SPDX-License-Identifier: Apache-2.0

package observe

import (
	"bytes"
	"context"
	_ "embed"
	"fmt"
	"net/http"
	"runtime/pprof"
	"strconv"
	"sync/atomic"
	"time"

	"emqttd/listeners/api"
)

//go:embed profile.yaml
var profileDocument []byte

const defaultProfile = 10 * time.Second

// profiler takes profiles of the process, one at a time: the runtime has one
// profiler of CPU, and walking the heap's or the goroutines' stacks is no work to
// be asked for twice at once.
type profiler struct {
	longest time.Duration // of a profile of CPU
	busy    atomic.Bool
}

// Profile is the route by which operators see where the broker's CPU, memory and
// goroutines are, in pprof's format, for `go tool pprof`. emqttd had etop and
// eprof of its Erlang node. What it shows are names and line numbers of the
// program, never what clients have sent; it still takes an administrator, since
// profiling costs the broker some CPU while it lasts.
func Profile(longest time.Duration) api.Extension {
	p := &profiler{longest: longest}
	return api.Extension{Document: profileDocument, Routes: []api.Route{
		{Method: http.MethodGet, Path: "/profile", Role: api.Administrator, Change: "profile.take", Stream: p.serve},
	}}
}

// serve takes one profile and answers it whole: a profile that could not be taken
// to its end is a problem, not half a file.
func (p *profiler) serve(c *api.Call, w http.ResponseWriter) error {
	kind := c.Param("kind")
	if kind == "" {
		kind = "cpu"
	}
	c.Note("kind", kind)
	length, err := p.length(c)
	if err != nil {
		return err
	}
	b, err := p.take(c, kind, length)
	if err != nil {
		return err
	}
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(streamWrites))
	h := w.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Content-Disposition", `attachment; filename="emqttd-`+kind+`.pprof"`)
	h.Set("Content-Length", strconv.Itoa(b.Len()))
	h.Set("Cache-Control", "no-store")
	_, _ = w.Write(b.Bytes()) // a peer that is gone needs no profile
	return nil
}

// take takes a profile, and whoever sees it can take the next.
func (p *profiler) take(c *api.Call, kind string, length time.Duration) (*bytes.Buffer, error) {
	if !p.busy.CompareAndSwap(false, true) {
		return nil, errBusy()
	}
	defer p.busy.Store(false)
	b := new(bytes.Buffer)
	switch kind {
	case "cpu":
		c.Note("seconds", length.Seconds())
		return b, cpu(c.Context(), b, length)
	case "heap", "goroutine":
		return b, pprof.Lookup(kind).WriteTo(b, 0)
	}
	return nil, api.Fail(http.StatusBadRequest, "?kind is to be cpu, heap or goroutine")
}

// length reads ?seconds.
func (p *profiler) length(c *api.Call) (time.Duration, error) {
	s := c.Param("seconds")
	if s == "" {
		return min(defaultProfile, p.longest), nil
	}
	most := int(p.longest / time.Second)
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > most {
		return 0, api.Fail(http.StatusBadRequest, "?seconds is to be a number from 1 to %d (dashboard.max_profile)", most)
	}
	return time.Duration(n) * time.Second, nil
}

// errBusy is what whoever comes second is told.
func errBusy() error {
	return fmt.Errorf("a profile is being taken, and there is one at a time: %w", api.ErrConflict)
}

// cpu profiles the process for a while, or until nobody waits for it any more.
func cpu(ctx context.Context, b *bytes.Buffer, length time.Duration) error {
	if err := pprof.StartCPUProfile(b); err != nil {
		return errBusy() // another broker of this process, or the program that embeds it
	}
	defer pprof.StopCPUProfile() // writes it
	end := time.NewTimer(length)
	defer end.Stop()
	select {
	case <-end.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// SPDX-License-Identifier: Apache-2.0

package trace

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"sync"
	"sync/atomic"
)

// file is a trace's file: a line of JSON for each event, the latest in path, older
// ones in path.1 and so on.
type file struct {
	path  string
	limit int64
	keep  int

	busy atomic.Bool // a job is to write it, or does

	mu      sync.Mutex
	f       *os.File // nil: finished, or failed
	size    int64
	written uint64 // Seq of the last event in it
	err     error
}

// names are what a trace's file may be called: it lies in the one directory that
// is for traces, whoever asks for it.
var names = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$`)

// open makes the file of a new trace. One that exists is rotated away.
func (t *Tracer) open(name string) (*file, error) {
	if t.bounds.Dir == "" {
		return nil, fmt.Errorf("%w: this broker has no directory for the files of traces", ErrRule)
	}
	if !names.MatchString(name) {
		return nil, fmt.Errorf("%w: file: %q: a plain name of letters, digits, '.', '_' and '-'", ErrRule, name)
	}
	f := &file{path: filepath.Join(t.bounds.Dir, name), limit: t.bounds.FileSize, keep: t.bounds.Files}
	for _, tr := range t.list() {
		if tr.file != nil && tr.file.path == f.path {
			return nil, fmt.Errorf("%w: file: %q is being written by trace %d", ErrRule, name, tr.id)
		}
	}
	if err := os.MkdirAll(t.bounds.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("trace: %w", err)
	}
	if err := f.rotate(); err != nil {
		return nil, fmt.Errorf("trace: %w", err)
	}
	return f, nil
}

// write asks for a job that writes what is new, unless one is under way.
func (t *Tracer) write(tr *Trace) {
	f := tr.file
	if f == nil || !f.busy.CompareAndSwap(false, true) {
		return
	}
	if !t.try(func() { f.job(tr) }) {
		f.busy.Store(false) // the next event asks again
	}
}

func (f *file) job(tr *Trace) {
	for {
		_ = f.flush(tr) // kept for Status
		f.busy.Store(false)
		// An event that came after the flush saw the job still busy.
		if !f.behind(tr) || !f.busy.CompareAndSwap(false, true) {
			return
		}
	}
}

func (f *file) behind(tr *Trace) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return f.f != nil && (f.written < tr.last || tr.ended.Load())
}

// flush writes what is new; of a trace that has ended it closes the file.
func (f *file) flush(tr *Trace) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for f.f != nil {
		events, lost, ended := tr.Read(f.written, 256)
		if err := f.append(events, lost); err != nil {
			f.err = errors.Join(err, f.f.Close())
			f.f = nil
			return f.err
		}
		if n := len(events); n > 0 {
			f.written = events[n-1].Seq
		}
		if ended {
			f.err = f.f.Close()
			f.f = nil
			return f.err
		}
		if len(events) == 0 {
			break
		}
	}
	return nil
}

func (f *file) append(events []Event, lost uint64) error {
	var b bytes.Buffer
	out := json.NewEncoder(&b)
	if lost > 0 {
		fmt.Fprintf(&b, "{\"lost\":%d}\n", lost)
	}
	for i := range events {
		if err := out.Encode(&events[i]); err != nil {
			return err
		}
	}
	if b.Len() == 0 {
		return nil
	}
	if f.size > 0 && f.size+int64(b.Len()) > f.limit {
		if err := f.rotate(); err != nil {
			return err
		}
	}
	n, err := f.f.Write(b.Bytes())
	f.size += int64(n)
	return err
}

// rotate begins a new file; the oldest of those before is removed.
func (f *file) rotate() error {
	if f.f != nil {
		if err := f.f.Close(); err != nil {
			return err
		}
		f.f = nil
	}
	name := func(i int) string {
		if i == 0 {
			return f.path
		}
		return f.path + "." + strconv.Itoa(i)
	}
	for i := f.keep; i >= 0; i-- {
		var err error
		if i == f.keep {
			err = os.Remove(name(i))
		} else {
			err = os.Rename(name(i), name(i+1))
		}
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	w, err := os.OpenFile(f.path, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o600)
	f.f, f.size = w, 0
	return err
}

// fault is why nothing more is written.
func (f *file) fault() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err != nil {
		return f.err.Error()
	}
	return ""
}

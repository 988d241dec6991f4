// SPDX-License-Identifier: Apache-2.0

package pebble

import (
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

// fail ends acknowledgements for good: whoever waits is told err, as is
// everybody later.
func (e *Engine) fail(err error) {
	e.mu.Lock()
	if e.failed != nil {
		e.mu.Unlock()
		return
	}
	e.failed = err
	waiting := append(e.working, e.queue...)
	e.working, e.queue = nil, nil
	e.mu.Unlock()
	if e.opts.Fatal != nil {
		e.opts.Fatal(err)
	}
	for i := range waiting {
		waiting[i].done(err)
	}
	close(e.dead)
}

// fatal fails and does not return. Pebble expects of its Fatalf that the process
// ends, with its locks held and half of a thing done; as long as Options.Fatal
// has not ended it, this goroutine stands still.
func (e *Engine) fatal(err error) {
	e.fail(fmt.Errorf("store: %s: %w", e.dir, err))
	select {}
}

// logger is what Pebble reports to. Its chatter is dropped; what events say is
// in listener.
type logger struct{ *Engine }

func (l logger) Infof(string, ...any) {}

func (l logger) Errorf(format string, args ...any) {
	l.opts.Log.Error().Str("dir", l.dir).Str("cause", fmt.Sprintf(format, args...)).Msg("store")
}

// Fatalf is called by Pebble from any of its goroutines. While the database is
// being opened it returns, and Open with the error.
func (l logger) Fatalf(format string, args ...any) {
	err := fmt.Errorf(format, args...)
	l.mu.Lock()
	opening := l.opening
	if opening {
		l.failed = err
	}
	l.mu.Unlock()
	if !opening {
		l.fatal(err)
	}
}

// listener fails the engine on corrupt files and logs what an operator acts on.
func (e *Engine) listener() *pebble.EventListener {
	return &pebble.EventListener{
		DataCorruption: func(info pebble.DataCorruptionInfo) {
			e.mu.Lock()
			opening := e.opening
			e.mu.Unlock()
			if !opening {
				e.fail(corrupt(info.Path, info.Details))
			}
		},
		BackgroundError: func(err error) {
			e.opts.Log.Error().Str("dir", e.dir).Err(err).Msg("store cannot write its tables")
		},
		WriteStallBegin: func(info pebble.WriteStallBeginInfo) {
			e.opts.Log.Warn().Str("reason", info.Reason).Msg("store waits for its disk")
		},
		WriteStallEnd: func() { e.opts.Log.Info().Msg("store goes on") },
	}
}

func corrupt(path string, err error) error {
	return fmt.Errorf("store: %s is %w: %w", path, ErrCorrupt, err)
}

// explain wraps an error of Pebble with the file it speaks of, when it knows it.
func (e *Engine) explain(err error) error {
	switch info := pebble.ExtractDataCorruptionInfo(err); {
	case info != nil:
		return corrupt(info.Path, err)
	case pebble.IsCorruptionError(err):
		return corrupt(e.dir, err)
	}
	return fmt.Errorf("store: %s: %w", e.dir, err)
}

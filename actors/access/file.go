// SPDX-License-Identifier: Apache-2.0

package access

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"

	"emqttd/actors/access/acl"
)

// maxFile bounds a file of this package, in bytes.
const maxFile = 64 << 20

// File is a file that can be read again while its contents are in use: T is what
// the file says, and never changes. Readers take the present T without waiting.
type File[T any] struct {
	path    string
	parse   func(name, text string) (T, error)
	current atomic.Pointer[T]
	changes atomic.Uint64
	reload  sync.Mutex // one reading at a time
}

// Open reads and parses the file at path: passwd.ParseFile, acl.ParseRules,
// acl.ParseMosquitto or ParseClientIDs. It reads a disk, so not on an event loop.
func Open[T any](path string, parse func(name, text string) (T, error)) (*File[T], error) {
	f := &File[T]{path: path, parse: parse}
	if err := f.Reload(); err != nil {
		return nil, err
	}
	return f, nil
}

// Get is what the file said when it was last read without a fault.
func (f *File[T]) Get() T { return *f.current.Load() }

// Path is the file's path.
func (f *File[T]) Path() string { return f.path }

// Changes counts the readings. Who caches decisions throws them away when it
// differs; emqttd kept them as long as the connection.
func (f *File[T]) Changes() uint64 { return f.changes.Load() }

// Reload reads the file again. On an error everything stays as it was.
func (f *File[T]) Reload() error {
	f.reload.Lock()
	defer f.reload.Unlock()
	text, err := readFile(f.path)
	if err != nil {
		return fmt.Errorf("access: read %s: %w", f.path, err)
	}
	next, err := f.parse(f.path, text)
	if err != nil {
		return err // names path and line
	}
	f.current.Store(&next)
	f.changes.Add(1)
	return nil
}

// readFile reads a regular file of at most maxFile bytes; a pipe could keep us
// waiting for ever.
func readFile(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() {
		return "", errors.New("not a regular file")
	}
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err == nil && len(text) > maxFile {
		err = fmt.Errorf("more than %d bytes", maxFile)
	}
	return string(text), err
}

// RuleFile is a source of topic rules that follows its file.
type RuleFile[T acl.Authorizer] struct{ *File[T] }

// Check asks the present rules.
func (r RuleFile[T]) Check(s *acl.Subject, op acl.Operation) acl.Decision {
	return r.Get().Check(s, op)
}

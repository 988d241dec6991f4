// SPDX-License-Identifier: Apache-2.0

package api

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/rs/zerolog"
)

// AuditEntry is one change that somebody made or tried to make.
type AuditEntry struct {
	At     time.Time      `json:"at"`
	User   string         `json:"user,omitempty"`
	Role   Role           `json:"role,omitempty"`
	Via    Via            `json:"via,omitempty"`
	Peer   string         `json:"peer"`
	Action string         `json:"action"` // "client.kick"
	Method string         `json:"method"`
	Path   string         `json:"path"`
	Status int            `json:"status"`
	Error  string         `json:"error,omitempty"`
	Facts  map[string]any `json:"facts,omitempty"` // what was changed; never a secret
}

// Audit is the log of changes: a file of JSON lines, and its newest lines in
// memory.
type Audit struct {
	path string // "": in memory only
	size int64  // of the file, at which a new one is begun
	max  int    // entries in memory
	log  zerolog.Logger

	mu   sync.Mutex
	file *os.File
	used int64
	ring []AuditEntry // newest last
}

// OpenAudit opens the log at path, "" for one in memory, and reads its newest
// lines.
func OpenAudit(path string, size int64, max int, log zerolog.Logger) (*Audit, error) {
	a := &Audit{path: path, size: size, max: max, log: log}
	if path == "" {
		return a, nil
	}
	if err := a.open(); err != nil {
		return nil, fmt.Errorf("audit log: %w", err)
	}
	return a, nil
}

func (a *Audit) open() (err error) {
	if a.file, err = os.OpenFile(a.path, os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600); err != nil {
		return err
	}
	d := json.NewDecoder(io.NewSectionReader(a.file, 0, a.size+auditLine))
	for {
		var e AuditEntry
		if d.Decode(&e) != nil {
			break // the end, or what a crash has cut off
		}
		a.remember(e)
	}
	info, err := a.file.Stat()
	if err == nil {
		a.used = info.Size()
	}
	return err
}

const auditLine = 1 << 20 // more than one entry can have

// add writes what became of a request that changes something.
func (a *Audit) add(c *Call, action string, status int, err error) {
	p := &c.Principal
	e := AuditEntry{At: time.Now().UTC(), User: p.Name, Role: p.Role, Via: p.Via, Peer: c.RemoteAddr, Action: action,
		Method: c.Method, Path: cutText(c.URL.RequestURI()), Status: status, Facts: c.notes}
	if err != nil {
		e.Error = cutText(err.Error())
	}
	a.Add(e)
}

// Add writes an entry that is no request's.
func (a *Audit) Add(e AuditEntry) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.remember(e)
	if err := a.write(e); err != nil {
		a.log.Error().Err(err).Msg("audit log")
	}
}

// write needs mu.
func (a *Audit) write(e AuditEntry) error {
	line, err := json.Marshal(e)
	if err != nil || a.file == nil {
		return err
	}
	if a.used+int64(len(line)) > a.size && a.used > 0 {
		if err := a.rotate(); err != nil {
			return err
		}
	}
	n, err := a.file.Write(append(line, '\n'))
	a.used += int64(n)
	return err
}

func (a *Audit) rotate() error {
	if err := os.Rename(a.path, a.path+".1"); err != nil {
		return err
	}
	f, err := os.OpenFile(a.path, os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	err = a.file.Close()
	a.file, a.used = f, 0
	return err
}

// remember keeps the newest entries; it needs mu, or nobody else to know of a.
func (a *Audit) remember(e AuditEntry) {
	a.ring = append(a.ring, e)
	if len(a.ring) >= 2*a.max {
		a.ring = append(a.ring[:0], a.ring[len(a.ring)-a.max:]...)
	}
}

// Newest calls yield for the entries in memory, the newest first.
func (a *Audit) Newest(yield func(AuditEntry) bool) {
	a.mu.Lock()
	all := a.ring[max(0, len(a.ring)-a.max):]
	all = append([]AuditEntry(nil), all...)
	a.mu.Unlock()
	for i := len(all) - 1; i >= 0; i-- {
		if !yield(all[i]) {
			return
		}
	}
}

// Close closes the file.
func (a *Audit) Close() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.file == nil {
		return nil
	}
	f := a.file
	a.file = nil
	return f.Close()
}

// cutText bounds what a request can make the log write.
func cutText(s string) string { return s[:min(len(s), 2048)] }

// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// Problem is an answer that is an error [RFC 9457]: application/problem+json.
type Problem struct {
	Type   string `json:"type"` // always about:blank: the status and the detail say it
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail,omitempty"` // a sentence for the one who asked

	after time.Duration // Retry-After
	basic bool          // WWW-Authenticate
}

// Error implements error.
func (p *Problem) Error() string { return p.Title + ": " + p.Detail }

// Fail is a problem with a sentence that says what to change.
func Fail(status int, format string, args ...any) *Problem {
	return &Problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: fmt.Sprintf(format, args...)}
}

// Errors that a Broker returns; they become the problem of their status.
var (
	ErrNotFound    = errors.New("there is no such thing")                // 404
	ErrConflict    = errors.New("it is there already")                   // 409
	ErrUnavailable = errors.New("the broker does not answer at present") // 503
)

// problemOf is what err is to the one who asked.
func problemOf(err error) *Problem {
	var p *Problem
	switch {
	case errors.As(err, &p):
		return p
	case errors.Is(err, ErrNotFound):
		return Fail(http.StatusNotFound, "%v", err)
	case errors.Is(err, ErrConflict):
		return Fail(http.StatusConflict, "%v", err)
	case errors.Is(err, ErrUnavailable):
		return Fail(http.StatusServiceUnavailable, "%v", err)
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return Fail(http.StatusServiceUnavailable, "the answer took too long")
	}
	return Fail(http.StatusInternalServerError, "%v", err)
}

func (p *Problem) write(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	if p.after > 0 {
		h.Set("Retry-After", strconv.Itoa(int(p.after/time.Second)+1))
	}
	if p.basic {
		h.Set("WWW-Authenticate", `Basic realm="emqttd", charset="UTF-8"`)
	}
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p) // a peer that is gone hears nothing
}

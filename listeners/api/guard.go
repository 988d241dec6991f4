// SPDX-License-Identifier: Apache-2.0

package api

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// guard is what every request passes before a route sees it.
func (s *Server) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.secure(w.Header())
		// The page's files and probes have a deadline, too; a stream takes it away.
		rc := http.NewResponseController(w)
		_ = rc.SetReadDeadline(time.Now().Add(s.opts.Timeout))
		_ = rc.SetWriteDeadline(time.Now().Add(2 * s.opts.Timeout))
		if err := s.checkHost(r); err != nil {
			problemOf(err).write(w)
			return
		}
		// Whatever the credentials: a browser that knows a Basic password sends it
		// along with another page's request, too.
		if err := s.origins.Check(r); err != nil {
			Fail(http.StatusForbidden, "this request was sent by a page of another origin").write(w)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// secure sets the headers that keep the page to itself: no script but its own
// files, no other page around it, nothing told to other hosts.
func (s *Server) secure(h http.Header) {
	h.Set("Content-Security-Policy", "default-src 'self'; connect-src 'self' ws: wss:; img-src 'self' data:; object-src 'none'; "+
		"base-uri 'none'; form-action 'self'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), microphone=(), geolocation=()")
	if s.opts.TLS != nil {
		h.Set("Strict-Transport-Security", "max-age=31536000")
	}
}

// checkHost refuses other names than loopback's where the address is loopback: a
// page whose name was made to resolve to 127.0.0.1 is another origin's page.
func (s *Server) checkHost(r *http.Request) error {
	if !s.opts.Local || loopbackName(r.Host) || slices.ContainsFunc(s.opts.AllowedHosts, func(h string) bool {
		return strings.EqualFold(h, hostName(r.Host))
	}) {
		return nil
	}
	return Fail(http.StatusForbidden, "this address answers to loopback names only, not to %q: use localhost, or add the name to dashboard.allowed_hosts", cut(r.Host))
}

func cut(s string) string { return s[:min(len(s), 100)] }

// loopbackName reports whether host, with or without port, names this machine.
func loopbackName(host string) bool {
	name := hostName(host)
	if strings.EqualFold(name, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(name)
	return err == nil && ip.Unmap().IsLoopback()
}

func hostName(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		return name
	}
	return strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
}

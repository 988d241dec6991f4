// SPDX-License-Identifier: Apache-2.0

package microscope

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"syscall"
	"unicode/utf8"
)

// agreed is the verdict on an upgrade that is one.
const agreed = "The server agrees: from the next byte on both sides speak WebSocket."

// verdict explains the answer to an upgrade in a sentence or two.
func (r *Request) verdict(res *http.Response, a *Accept, body []byte) string {
	if a != nil {
		return r.judge101(res, a)
	}
	if s := sentence(body); s != "" { // our own broker says what to change
		return fmt.Sprintf("The server refused with %d. It says: %s", res.StatusCode, s)
	}
	switch code := res.StatusCode; {
	case code == http.StatusUpgradeRequired:
		return fmt.Sprintf("The server does not speak WebSocket version %s; it names %q.", r.header("Sec-WebSocket-Version"), res.Header.Get("Sec-WebSocket-Version"))
	case code == http.StatusUnauthorized || code == http.StatusProxyAuthRequired:
		return "The server wants credentials for the upgrade itself, in an Authorization header."
	case code == http.StatusForbidden:
		return "The server does not let this request in; a wrong Origin or Host is the usual reason."
	case code == http.StatusNotFound:
		return "There is nothing at this path; MQTT is usually at /mqtt, sometimes at / or /ws."
	case code >= 300 && code < 400:
		return fmt.Sprintf("The server points elsewhere, to %q; the microscope follows no redirection.", res.Header.Get("Location"))
	case code == http.StatusBadRequest:
		return "The server found the request wrong: look at path, sub-protocol and version."
	case code >= 200 && code < 300:
		return "The server answered as an ordinary web server does: it does not know the upgrade at this path."
	case code >= 500:
		return "The server, or a proxy before it, failed; the broker behind may be down."
	default:
		return fmt.Sprintf("The server answered %s instead of 101 Switching Protocols.", res.Status)
	}
}

// judge101 holds a 101 to what RFC 6455 asks of it [RFC 6455 4.1].
func (r *Request) judge101(res *http.Response, a *Accept) string {
	wanted := strings.Split(strings.ReplaceAll(r.header("Sec-WebSocket-Protocol"), " ", ""), ",")
	switch got := res.Header.Get("Sec-WebSocket-Protocol"); {
	case !strings.EqualFold(res.Header.Get("Upgrade"), "websocket"):
		return "The server says 101 but changes to another protocol than websocket."
	case !strings.Contains(strings.ToLower(res.Header.Get("Connection")), "upgrade"):
		return "The server says 101 without Connection: Upgrade."
	case a.Got == "":
		return "The server says 101 without Sec-WebSocket-Accept: it has not understood the key."
	case !a.Equal:
		return "Sec-WebSocket-Accept is wrong: the answer belongs to another request, or to a server that does not know WebSocket."
	case res.Header.Get("Sec-WebSocket-Extensions") != "":
		return "The server uses an extension that was not offered."
	case got == "" && wanted[0] != "":
		return "The server names no sub-protocol: it speaks WebSocket, but does not say that it speaks MQTT [v3.1.1 MQTT-6.0.0-3, v5 MQTT-6.0.0-3]."
	case got != "" && !slices.Contains(wanted, got):
		return fmt.Sprintf("The server chose the sub-protocol %q, which was not offered.", got)
	}
	return agreed
}

// sentence is the second line of our own refusals: what to change.
func sentence(body []byte) string {
	lines := strings.FieldsFunc(string(body), func(r rune) bool { return r == '\n' || r == '\r' })
	if len(lines) != 2 || bytes.ContainsAny(body, "<>") || !utf8.Valid(body) || len(lines[1]) > 300 {
		return ""
	}
	return strings.TrimSpace(lines[1])
}

// explain says in a sentence why a connection could not be made or has ended.
func explain(err error) string {
	var dns *net.DNSError
	var unknown x509.UnknownAuthorityError
	var host x509.HostnameError
	var invalid x509.CertificateInvalidError
	var record tls.RecordHeaderError
	var refused *RefusedError
	switch {
	case errors.As(err, &refused):
		return refused.Text
	case errors.As(err, &dns):
		return fmt.Sprintf("The name %s is not known.", dns.Name)
	case errors.Is(err, syscall.ECONNREFUSED):
		return "Nobody listens at this address and port."
	case errors.As(err, &unknown):
		return "The server's certificate is signed by nobody this machine trusts."
	case errors.As(err, &host):
		return "The server's certificate is for another name."
	case errors.As(err, &invalid):
		return "The server's certificate is not valid: " + invalid.Error() + "."
	case errors.As(err, &record):
		return "The server does not speak TLS at this port: ws:// may be meant."
	case errors.Is(err, errNotHTTP):
		return "The answer is not HTTP: this port may be plain MQTT or TLS."
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return "No answer came in time."
	case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "The server closed the connection."
	case errors.Is(err, net.ErrClosed), errors.Is(err, context.Canceled):
		return "Closed from here."
	}
	return "The connection failed: " + err.Error() + "."
}

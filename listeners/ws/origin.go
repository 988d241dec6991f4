// SPDX-License-Identifier: Apache-2.0

package ws

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// originRule is one entry of Config.AllowedOrigins, lower case.
type originRule struct {
	any    bool   // "*"
	scheme string // empty: every scheme, and every port
	host   string // host with port if it had one; for a wildcard the part behind "*"
	wild   bool   // "*.example.com": any name that ends in host
}

func parseOrigins(list []string) []originRule {
	rules := make([]originRule, 0, len(list))
	for _, s := range list {
		s = strings.ToLower(strings.TrimSuffix(strings.TrimSpace(s), "/"))
		r := originRule{any: s == "*", host: s}
		if scheme, host, ok := strings.Cut(s, "://"); ok {
			r.scheme, r.host = scheme, host
		}
		if strings.HasPrefix(r.host, "*.") {
			r.wild, r.host = true, r.host[1:]
		}
		rules = append(rules, r)
	}
	return rules
}

func (r originRule) match(u *url.URL) bool {
	if r.any {
		return true
	}
	host := strings.ToLower(u.Host)
	if r.scheme == "" {
		host = strings.ToLower(u.Hostname())
	} else if r.scheme != strings.ToLower(u.Scheme) {
		return false
	}
	if r.wild {
		return strings.HasSuffix(host, r.host)
	}
	return host == r.host
}

// originAllowed says whether a page of the given origin may connect to a
// broker addressed as host. A browser always sends Origin, and a page cannot
// forge it; other programs send none and are let through. The page may come
// from the broker's own host name, whatever the port: the dashboard and its
// /mqtt are two ports of one host. Without this rule any web page could use a
// visitor's browser to reach a broker on the visitor's machine or network
// [RFC 6455 10.2].
func (u *Upgrader) originAllowed(origins []string, host string) bool {
	if len(origins) == 0 {
		return true
	}
	o, err := url.Parse(origins[0])
	if err != nil || len(origins) > 1 {
		return false
	}
	if name := o.Hostname(); name != "" && strings.EqualFold(name, hostName(host)) {
		return true
	}
	if o.Host == "" { // "null": a file, a sandboxed frame
		o.Host, o.Scheme = o.Path, ""
	}
	return slices.ContainsFunc(u.origins, func(r originRule) bool { return r.match(o) })
}

// originChecked stands in for gorilla's own rule: the ladder has decided before.
func originChecked(*http.Request) bool { return true }

// hostAllowed says whether a listener that relies on being on loopback may
// answer for host.
func (u *Upgrader) hostAllowed(host string) bool {
	name := hostName(host)
	if strings.EqualFold(name, "localhost") {
		return true
	}
	if ip, err := netip.ParseAddr(name); err == nil && ip.Unmap().IsLoopback() {
		return true
	}
	return slices.ContainsFunc(u.cfg.Hosts, func(h string) bool { return strings.EqualFold(h, name) })
}

// hostName is host without port and brackets.
func hostName(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		return name
	}
	return strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
}

// SPDX-License-Identifier: Apache-2.0

package config

import (
	"net"
	"strconv"
)

// StatusURLs returns where a program on this machine can ask the broker for
// its status: the WebSocket listeners that serve /status, in the order of
// Listeners.All. A unix socket, port 0 and a listener behind a proxy have no
// such address. The certificate behind an https URL is made out to a name that
// need not be this machine's.
func (c *Config) StatusURLs() []string {
	var urls []string
	add := func(scheme string, bind Address) {
		if bind.Off() || bind.Network() != "tcp" || bind.Port() == 0 {
			return
		}
		host := bind.Host()
		switch host { // every address: this machine is one of them
		case "", "0.0.0.0":
			host = "127.0.0.1"
		case "::":
			host = "::1"
		}
		urls = append(urls, scheme+"://"+net.JoinHostPort(host, strconv.Itoa(bind.Port()))+"/status")
	}
	for _, l := range c.Listeners.Active() {
		if !l.HTTPStatus || l.ProxyProtocol != ProxyOff {
			continue
		}
		if l.Kind == WS {
			add("http", l.Bind)
		} else {
			add("https", l.Bind)
		}
	}
	return urls
}

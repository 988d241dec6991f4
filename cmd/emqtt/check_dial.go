// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/url"
	"os"
	"time"

	"emqttd/listeners/ws"
	"emqttd/protocol/conformance"
)

// brokerPorts are the schemes of an address, each with its usual port.
var brokerPorts = map[string]string{
	"mqtt": "1883", "tcp": "1883", "mqtts": "8883", "ssl": "8883", "tls": "8883", "ws": "80", "wss": "443",
}

// dialers says how to reach the broker, with the options of the run.
func (o *checkOptions) dialers() (conformance.Dialer, conformance.Options, error) {
	run := conformance.Options{Parallel: o.parallel, Timeout: o.timeout, Username: o.username, Password: o.password}
	u, err := brokerURL("--url", o.url)
	if err != nil {
		return nil, run, err
	}
	if u.User != nil {
		run.Username = u.User.Username()
		run.Password, _ = u.User.Password()
		u.User = nil
	}
	trust, err := o.trust()
	if err != nil {
		return nil, run, err
	}
	frames := u
	if o.websocket != "" {
		if frames, err = brokerURL("--websocket", o.websocket); err != nil {
			return nil, run, err
		}
	}
	if frames.Scheme == "ws" || frames.Scheme == "wss" {
		run.WebSocket = &conformance.WebSocket{Dial: o.dialStream(frames, trust), Host: frames.Host, Path: frames.Path}
	} else if o.websocket != "" {
		return nil, run, fmt.Errorf("check: --websocket %q: want ws:// or wss://", o.websocket)
	}
	if u.Scheme == "ws" || u.Scheme == "wss" {
		return func(ctx context.Context) (net.Conn, error) {
			ctx, cancel := context.WithTimeout(ctx, o.dialTimeout())
			defer cancel()
			return ws.Dial(ctx, u.String(), trust, nil)
		}, run, nil
	}
	return conformance.Dialer(o.dialStream(u, trust)), run, nil
}

// brokerURL parses an address and fills in port and path.
func brokerURL(flag, address string) (*url.URL, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, fmt.Errorf("check: %s: %w", flag, err)
	}
	port, ok := brokerPorts[u.Scheme]
	if !ok || u.Hostname() == "" {
		return nil, fmt.Errorf("check: %s %q: want mqtt://, mqtts://, ws:// or wss:// and a host", flag, address)
	}
	if u.Port() == "" {
		u.Host = net.JoinHostPort(u.Hostname(), port)
	}
	if u.Path == "" && (u.Scheme == "ws" || u.Scheme == "wss") {
		u.Path = "/mqtt"
	}
	return u, nil
}

// trust is the TLS configuration, used by the schemes that need one.
func (o *checkOptions) trust() (*tls.Config, error) {
	config := &tls.Config{InsecureSkipVerify: o.insecure, MinVersion: tls.VersionTLS12}
	if o.cafile == "" {
		return config, nil
	}
	pem, err := os.ReadFile(o.cafile)
	if err != nil {
		return nil, fmt.Errorf("check: --cafile: %w", err)
	}
	config.RootCAs = x509.NewCertPool()
	if !config.RootCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("check: --cafile %s has no certificate in PEM", o.cafile)
	}
	return config, nil
}

// dialStream connects below WebSocket: TCP, or TLS where the scheme says so.
func (o *checkOptions) dialStream(u *url.URL, trust *tls.Config) func(context.Context) (net.Conn, error) {
	dialer := &net.Dialer{Timeout: o.dialTimeout()}
	switch u.Scheme {
	case "mqtts", "ssl", "tls", "wss":
		secure := &tls.Dialer{NetDialer: dialer, Config: trust}
		return func(ctx context.Context) (net.Conn, error) { return secure.DialContext(ctx, "tcp", u.Host) }
	}
	return func(ctx context.Context) (net.Conn, error) { return dialer.DialContext(ctx, "tcp", u.Host) }
}

// dialTimeout leaves room for a slow start whatever a step may take.
func (o *checkOptions) dialTimeout() time.Duration { return max(o.timeout, 5*time.Second) }

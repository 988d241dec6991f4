// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

const prefix = "/api/v1"

// maxAnswer is how much of an answer is read.
const maxAnswer = 64 << 20

// call asks the broker and reads its JSON answer into out, if that is not nil.
func (c *ctl) call(ctx context.Context, method, path string, body, out any) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	text, err := c.ask(ctx, method, path, body)
	if err != nil || out == nil || len(text) == 0 {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber() // a 64 bit counter is no float
	if err := d.Decode(out); err != nil {
		return &exit{exitRefused, fmt.Errorf("%s does not answer as a broker does: %w", c.url, err)}
	}
	return nil
}

// ask asks the broker and reads its answer to the end.
func (c *ctl) ask(ctx context.Context, method, path string, body any) ([]byte, error) {
	res, err := c.send(ctx, method, path, body)
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	if err != nil {
		return nil, &exit{exitUnreachable, fmt.Errorf("read the answer: %w", err)}
	}
	if len(text) > maxAnswer {
		return nil, &exit{exitRefused, fmt.Errorf("%s answers with more than %d MiB", c.url, maxAnswer>>20)}
	}
	return text, nil
}

// send sends a request and returns an answer that is no error.
func (c *ctl) send(ctx context.Context, method, path string, body any) (*http.Response, error) {
	base, err := url.Parse(c.url)
	if err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" {
		return nil, &exit{exitUsage, fmt.Errorf("--url %q: http://HOST:PORT or https://HOST:PORT is expected", c.url)}
	}
	var text io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return nil, &exit{exitUsage, err}
		}
		text = bytes.NewReader(b)
	}
	r, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(c.url, "/")+prefix+path, text)
	if err != nil {
		return nil, &exit{exitUsage, err}
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if err := c.authorize(r, base); err != nil {
		return nil, err
	}
	client, err := c.http()
	if err != nil {
		return nil, err
	}
	res, err := client.Do(r)
	if err != nil {
		if errors.Is(err, context.Canceled) {
			return nil, err
		}
		return nil, &exit{exitUnreachable, fmt.Errorf("no answer from %s: is the broker running, and its dashboard.bind there? (%w)", c.url, err)}
	}
	if res.StatusCode >= 300 {
		defer func() { _ = res.Body.Close() }()
		return nil, c.refusal(res)
	}
	return res, nil
}

// refusal makes an error of an answer that is one.
func (c *ctl) refusal(res *http.Response) error {
	var p struct {
		Title, Detail string
	}
	text, _ := io.ReadAll(io.LimitReader(res.Body, 64<<10))
	said := res.Status
	if json.Unmarshal(text, &p) == nil && p.Detail != "" {
		said = p.Detail
	}
	switch res.StatusCode {
	case http.StatusUnauthorized:
		return &exit{exitNotAllowed, fmt.Errorf("%s: give --key or --user, or run as who can read ctl.token in the broker's node.data_dir (--token-file)", said)}
	case http.StatusForbidden, http.StatusTooManyRequests:
		return &exit{exitNotAllowed, errors.New(said)}
	}
	return &exit{exitRefused, errors.New(said)}
}

// http is a client that follows no redirection: the right to administer a broker
// is not to be carried elsewhere.
func (c *ctl) http() (*http.Client, error) {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.TLSClientConfig = &tls.Config{InsecureSkipVerify: c.insecure, MinVersion: tls.VersionTLS12} //nolint:gosec // asked for by name
	if c.caFile != "" {
		pem, err := os.ReadFile(c.caFile)
		if err != nil {
			return nil, &exit{exitUsage, fmt.Errorf("--cacert: %w", err)}
		}
		t.TLSClientConfig.RootCAs = x509.NewCertPool()
		if !t.TLSClientConfig.RootCAs.AppendCertsFromPEM(pem) {
			return nil, &exit{exitUsage, fmt.Errorf("--cacert: no certificate in %s", c.caFile)}
		}
	}
	t.DisableKeepAlives = true
	return &http.Client{Transport: t, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}, nil
}

// authorize says who asks: a key, a user, or the token of this machine's
// operator.
func (c *ctl) authorize(r *http.Request, base *url.URL) error {
	switch {
	case c.key != "":
		r.Header.Set("Authorization", "Bearer "+c.key)
	case c.user != "":
		password := c.password
		if password == "" {
			password = c.getenv("EMQTTD_CTL_PASSWORD")
		}
		r.SetBasicAuth(c.user, password)
	case c.tokenFile != "" || loopback(base.Hostname()):
		token, err := c.token()
		if err != nil {
			return err
		}
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
	}
	return nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// token reads ctl.token: where --token-file says, or else where brokers keep
// their data.
func (c *ctl) token() (string, error) {
	if c.tokenFile != "" {
		b, err := os.ReadFile(c.tokenFile)
		if err != nil {
			return "", &exit{exitUsage, fmt.Errorf("--token-file: %w", err)}
		}
		return strings.TrimSpace(string(b)), nil
	}
	for _, dir := range []string{c.getenv("EMQTTD_NODE__DATA_DIR"), "data", "/var/lib/emqttd"} {
		if dir == "" {
			continue
		}
		if b, err := os.ReadFile(filepath.Join(dir, "ctl.token")); err == nil {
			return strings.TrimSpace(string(b)), nil
		}
	}
	return "", nil
}

// SPDX-License-Identifier: Apache-2.0

package config

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
)

// CheckFiles looks at the files that the configuration names: certificates are
// loaded, others opened, the data directory must be one or not exist yet. It
// changes nothing. --check calls it; the broker reads the files itself. The
// error is an *Error.
func (c *Config) CheckFiles(o *Origins) error {
	var p problems
	check := func(key string, err error) {
		if err != nil {
			p.add(o.where(key), key, "%v", err)
		}
	}
	check("node.data_dir", directory(c.Node.DataDir))
	for _, l := range c.Listeners.Active() {
		if l.Kind != TLS && l.Kind != WSS {
			continue
		}
		key := l.Key() + ".tls."
		_, err := tls.LoadX509KeyPair(l.TLS.CertFile, l.TLS.KeyFile)
		check(key+"cert_file", err)
		if l.TLS.CAFile != "" {
			check(key+"ca_file", authorities(l.TLS.CAFile))
		}
	}
	if d := &c.Dashboard; !d.Bind.Off() && d.TLS() {
		_, err := tls.LoadX509KeyPair(d.CertFile, d.KeyFile)
		check("dashboard.cert_file", err)
	}
	for i, link := range c.Auth.Chain {
		if link.Path != "" {
			check(fmt.Sprintf("auth.chain[%d].path", i), readable(link.Path))
		}
	}
	if c.ACL.File != "" {
		check("acl.file", readable(c.ACL.File))
	}
	return p.err()
}

func directory(path string) error {
	info, err := os.Stat(path)
	switch {
	case os.IsNotExist(err):
		return nil
	case err != nil:
		return err
	case !info.IsDir():
		return fmt.Errorf("%s is not a directory", path)
	}
	return nil
}

func readable(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is not a file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return f.Close()
}

func authorities(path string) error {
	pem, err := readBounded(path)
	if err != nil {
		return err
	}
	if !x509.NewCertPool().AppendCertsFromPEM([]byte(pem)) {
		return fmt.Errorf("%s holds no certificate in PEM", path)
	}
	return nil
}

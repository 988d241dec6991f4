// SPDX-License-Identifier: Apache-2.0

package config

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// certificate writes a self-signed certificate and its key.
func certificate(t *testing.T, certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	keyDER, err := x509.MarshalECPrivateKey(key)
	require.NoError(t, err)
	write(t, certFile, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	write(t, keyFile, string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: keyDER})))
}

func write(t *testing.T, path, text string) {
	t.Helper()
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
}

func TestTheFilesThatAreNamedAreChecked(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	certificate(t, in("cert"), in("key"))
	write(t, in("passwd"), "")
	write(t, in("acl"), "")

	c := Default()
	c.Node.DataDir = in("not there yet")
	l := c.Listeners.TLS["default"]
	l.Bind = "127.0.0.1:8883"
	l.TLS.CertFile, l.TLS.KeyFile, l.TLS.CAFile = in("cert"), in("key"), in("cert")
	c.Listeners.WSS["default"].TLS.CertFile = in("missing, but the listener is off")
	c.Auth.Chain = []Link{{Type: LinkBuiltin}, {LinkPasswordFile, in("passwd")}}
	c.ACL.File = in("acl")
	require.NoError(t, c.CheckFiles(nil))

	c.Node.DataDir = in("passwd")
	l.TLS.KeyFile, l.TLS.CAFile = in("missing"), in("passwd")
	c.Auth.Chain[1].Path = dir
	c.ACL.File = in("missing")
	lines := mistakes(t, c.CheckFiles(&Origins{map[string]Origin{"acl.file": {Layer: LayerFile, Name: "e.yaml", Line: 3, Col: 4}}}))
	require.Len(t, lines, 5)
	require.Equal(t, "node.data_dir: "+in("passwd")+" is not a directory", lines[0])
	require.Contains(t, lines[1], "listeners.tls.default.tls.cert_file: open "+in("missing"))
	require.Equal(t, "listeners.tls.default.tls.ca_file: "+in("passwd")+" holds no certificate in PEM", lines[2])
	require.Equal(t, "auth.chain[1].path: "+dir+" is not a file", lines[3])
	require.Contains(t, lines[4], "e.yaml:3:4: acl.file: stat "+in("missing"))
}

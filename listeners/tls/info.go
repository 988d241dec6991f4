// SPDX-License-Identifier: Apache-2.0

package tls

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"time"
)

// Info is what was agreed on in a handshake, for log, dashboard and access
// control.
type Info struct {
	Version     string // "TLS 1.3"
	CipherSuite string // "TLS_AES_128_GCM_SHA256"
	ServerName  string // asked for by the client (SNI)
	Protocol    string // agreed on by ALPN
	Resumed     bool
	Peer        *Identity // nil without a verified client certificate
}

// Identity is who a client is by its certificate, which an authority of the
// listener signed. An unverified certificate makes no Identity.
type Identity struct {
	CommonName  string // may serve as the MQTT user name
	Subject     string // whole distinguished name, RFC 2253
	Fingerprint string // SHA-256 of the certificate, hex
	NotAfter    time.Time
}

func newInfo(cs tls.ConnectionState) Info {
	i := Info{
		Version:     tls.VersionName(cs.Version),
		CipherSuite: tls.CipherSuiteName(cs.CipherSuite),
		ServerName:  cs.ServerName,
		Protocol:    cs.NegotiatedProtocol,
		Resumed:     cs.DidResume,
	}
	if len(cs.VerifiedChains) > 0 {
		i.Peer = newIdentity(cs.PeerCertificates[0])
	}
	return i
}

func newIdentity(c *x509.Certificate) *Identity {
	sum := sha256.Sum256(c.Raw)
	return &Identity{
		CommonName:  c.Subject.CommonName,
		Subject:     c.Subject.String(),
		Fingerprint: hex.EncodeToString(sum[:]),
		NotAfter:    c.NotAfter,
	}
}

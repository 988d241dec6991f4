// SPDX-License-Identifier: Apache-2.0

package broker_test

import (
	"bufio"
	"crypto/tls"
	"net"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"emqttd/protocol/packet"
	"emqttd/supervisor/broker/brokertest"
	"emqttd/supervisor/broker/config"
)

// shown is the common name of the certificate that an address shows.
func (a *authority) shown(address net.Addr) string {
	nc, err := dialTLS(address, a.config())(a.t.Context())
	require.NoError(a.t, err)
	defer func() { _ = nc.Close() }()
	return nc.(*tls.Conn).ConnectionState().PeerCertificates[0].Subject.CommonName
}

// TestCertificatesAreReadWhenTheirFilesHaveChanged, without a signal: who renews
// them may not be able to send one.
func TestCertificatesAreReadWhenTheirFilesHaveChanged(t *testing.T) {
	ca, dir := newAuthority(t), t.TempDir()
	cert, key := ca.files(dir, "first")
	b := brokertest.Start(t, "runtime.certificate_check=5ms", "dashboard.bind=127.0.0.1:0", "dashboard.cert_file="+cert, "dashboard.key_file="+key,
		"listeners.tls.default={bind: \"127.0.0.1:0\", tls: {cert_file: "+cert+", key_file: "+key+"}}")
	ports := []net.Addr{b.Addr("listeners.tls.default"), b.Addr("dashboard")}
	// written says that the files were written some seconds ago, and nobody writes
	// them any more.
	written := func(seconds int) {
		at := time.Now().Add(-time.Duration(seconds) * time.Second)
		require.NoError(t, os.Chtimes(cert, at, at))
		require.NoError(t, os.Chtimes(key, at, at))
	}
	nc, err := dialTLS(ports[0], ca.config())(t.Context())
	require.NoError(t, err)
	stays := enter(t, nc, clean(packet.V5, "stays"))
	for _, p := range ports {
		require.Equal(t, "first", ca.shown(p))
	}

	ca.files(dir, "second")
	written(60)
	for _, p := range ports {
		eventually(t, "the second is shown", func() bool { return ca.shown(p) == "second" })
	}
	stays.fence()

	writeFile(t, cert, []byte("no certificate"))
	written(50)
	eventually(t, "an alarm for each", func() bool { return len(b.Alarms().Active()) == 2 })
	raised := map[string]string{}
	for _, a := range b.Alarms().Active() {
		raised[a.ID] = a.Summary
	}
	require.Contains(t, raised["certificate_tls:default"], cert)
	for _, p := range ports {
		require.Equal(t, "second", ca.shown(p))
	}

	ca.files(dir, "third")
	written(40)
	for _, p := range ports {
		eventually(t, "the third is shown", func() bool { return ca.shown(p) == "third" })
	}
	eventually(t, "the alarms are gone", func() bool { return len(b.Alarms().Active()) == 0 })
}

// TestAReloadTakesOverWhatListenersSayTheyTakeOver: other files for the
// certificate, other origins, other timeouts.
func TestAReloadTakesOverWhatListenersSayTheyTakeOver(t *testing.T) {
	ca, first, second := newAuthority(t), t.TempDir(), t.TempDir()
	cert, key := ca.files(first, "first")
	b := brokertest.Start(t, "listeners.tls.default={bind: \"127.0.0.1:0\", tls: {cert_file: "+cert+", key_file: "+key+"}}")
	status := func() string {
		nc, err := net.Dial("tcp", b.Addr("listeners.ws.default").String())
		require.NoError(t, err)
		defer func() { _ = nc.Close() }()
		_, err = nc.Write([]byte("GET /mqtt HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" +
			"Sec-WebSocket-Key: MTMtMTU0NDE1NjY2MjM2NA==\r\nSec-WebSocket-Protocol: mqtt\r\nOrigin: https://app.example\r\n\r\n"))
		require.NoError(t, err)
		line, err := bufio.NewReader(nc).ReadString('\n')
		require.NoError(t, err)
		return line
	}
	require.Contains(t, status(), "403")
	require.Equal(t, "first", ca.shown(b.Addr("listeners.tls.default")))

	cert, key = ca.files(second, "second")
	cfg, _, err := config.Load(config.Sources{Sets: []string{"listeners.tcp.default.bind=127.0.0.1:0", "listeners.ws.default.bind=127.0.0.1:0",
		"store.engine=memory", "dashboard.bind=", "listeners.ws.default.allowed_origins=[\"https://app.example\"]", "listeners.ws.default.paths=[/other]",
		"mqtt.handshake_timeout=50ms", "listeners.tls.default={bind: \"127.0.0.1:0\", tls: {cert_file: " + cert + ", key_file: " + key + "}}"}})
	require.NoError(t, err)
	need, err := b.Reload(cfg)
	require.NoError(t, err)
	require.Equal(t, []string{"listeners.ws.default.paths"}, need)
	require.Contains(t, status(), "101")
	require.Equal(t, "second", ca.shown(b.Addr("listeners.tls.default")))

	silent, err := net.Dial("tcp", b.Addr("listeners.ws.default").String())
	require.NoError(t, err)
	require.NoError(t, silent.SetReadDeadline(time.Now().Add(5*time.Second))) // half of the timeout from before
	_, err = silent.Read(make([]byte, 1))
	require.NotErrorIs(t, err, os.ErrDeadlineExceeded, "the broker ends it after 50 ms")
}

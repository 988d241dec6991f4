// SPDX-License-Identifier: Apache-2.0

package broker_test

import (
	"context"
	"crypto/tls"
	"net"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"emqttd/listeners/ws"
	"emqttd/protocol/packet"
	"emqttd/supervisor/broker"
	"emqttd/supervisor/broker/brokertest"
	"emqttd/supervisor/broker/config"
)

// Who may come in, and as whom.

// TestTheCommonNameOfACertificateIsTheUserName: the rules know the client by the
// name that the authority has signed, whatever CONNECT says.
func TestTheCommonNameOfACertificateIsTheUserName(t *testing.T) {
	ca := newAuthority(t)
	dir := t.TempDir()
	cert, key := ca.files(dir, "127.0.0.1")
	caFile, rules := filepath.Join(dir, "ca.pem"), filepath.Join(dir, "acl")
	writeFile(t, caFile, ca.pem())
	writeFile(t, rules, []byte("{allow, all, pubsub, [\"home/%u/#\"]}.\n{deny, all}.\n"))
	secured := ".default={bind: \"127.0.0.1:0\", tls: {cert_file: " + cert + ", key_file: " + key + ", ca_file: " + caFile +
		", client_auth: require, peer_cert_as_username: cn}}"
	b := brokertest.Start(t, "acl.file="+rules, "listeners.tls"+secured, "listeners.wss"+secured)
	clientDir := t.TempDir()
	clientCert, clientKey := ca.files(clientDir, "alice")
	pair, err := tls.LoadX509KeyPair(clientCert, clientKey)
	require.NoError(t, err)
	with := ca.config()
	with.Certificates = []tls.Certificate{pair}
	for _, listener := range []string{"listeners.tls.default", "listeners.wss.default"} {
		t.Run(listener, func(t *testing.T) {
			var nc net.Conn
			if listener == "listeners.tls.default" {
				nc, err = dialTLS(b.Addr(listener), with)(t.Context())
			} else {
				nc, err = ws.Dial(t.Context(), "wss://"+b.Addr(listener).String()+"/mqtt", with, nil)
			}
			require.NoError(t, err)
			t.Cleanup(func() { _ = nc.Close() })
			c := clean(packet.V5, "phone")
			c.HasUsername, c.Username = true, "mallory"
			p := enter(t, nc, c)
			require.Equal(t, []packet.ReasonCode{packet.ReasonCode(packet.QoS1)}, p.subscribe(packet.QoS1, "home/alice/#").Codes)
			require.Equal(t, []packet.ReasonCode{packet.NotAuthorized}, p.subscribe(packet.QoS1, "home/mallory/#").Codes)
			p.leave()
		})
	}
	bare, err := tls.Dial("tcp", b.Addr("listeners.tls.default").String(), ca.config())
	if err == nil { // TLS 1.3 tells a client without a certificate at its first read
		_ = bare.SetDeadline(time.Now().Add(patience))
		_, err = bare.Read(make([]byte, 1))
		_ = bare.Close()
	}
	require.ErrorContains(t, err, "certificate")
}

// TestMosquittosPasswordFileIsReadAndReadAgain: clients that are in stay; the
// next ones need the password that the file has now.
func TestMosquittosPasswordFileIsReadAndReadAgain(t *testing.T) {
	passwd := tool(t, "mosquitto_passwd")
	file := filepath.Join(t.TempDir(), "passwords")
	set := func(args ...string) {
		out, err := exec.Command(passwd, append(append([]string{"-b"}, args...), file, "ann", "first")...).CombinedOutput()
		require.NoError(t, err, "%s", out)
	}
	set("-c")
	sets := []string{"auth.chain=[{type: password_file, path: " + file + "}]"}
	b := brokertest.Start(t, sets...)
	login := func(id, password string) (*peer, *packet.Connack) {
		c := clean(packet.V5, id)
		c.HasUsername, c.Username, c.HasPassword, c.Password = true, "ann", true, []byte(password)
		return present(t, open(t, b, "tcp"), c)
	}
	stays, ack := login("stays", "first")
	require.Equal(t, packet.Success, ack.Code)
	_, ack = login("wrong", "second")
	require.Equal(t, packet.BadUserNameOrPassword, ack.Code)
	out, err := exec.Command(passwd, "-b", file, "ann", "second").CombinedOutput()
	require.NoError(t, err, "%s", out)
	cfg, _, err := config.Load(config.Sources{Sets: append([]string{"listeners.tcp.default.bind=127.0.0.1:0",
		"listeners.ws.default.bind=127.0.0.1:0", "dashboard.bind=", "store.engine=memory"}, sets...)})
	require.NoError(t, err)
	_, err = b.Reload(cfg)
	require.NoError(t, err)
	stays.fence()
	_, ack = login("old", "first")
	require.Equal(t, packet.BadUserNameOrPassword, ack.Code)
	_, ack = login("new", "second")
	require.Equal(t, packet.Success, ack.Code)
}

// TestWillsAtTheEndOfTheBroker: a will without delay is published while the
// broker stops, a delayed one is kept with its deadline for the next start.
func TestWillsAtTheEndOfTheBroker(t *testing.T) {
	dir := t.TempDir()
	b := startIn(t, dir)
	watcher := enter(t, dialPlain(t, b), kept(packet.V5, "watcher"))
	watcher.subscribe(packet.QoS1, "wills/#")
	_ = watcher.NetConn().Close()
	eventually(t, "the watcher is away", func() bool { return b.Metrics().Connected.Load() == 0 })
	dying := func(id string, delay uint32) *peer {
		c := kept(packet.V5, id)
		c.Will = &packet.Will{Topic: "wills/" + id, Payload: []byte(id), QoS: packet.QoS1, Properties: new(packet.Properties)}
		c.Will.Properties.Set(packet.PropWillDelay).WillDelay = delay
		return enter(t, dialPlain(t, b), c)
	}
	at, later := dying("at-once", 0), dying("later", 3600)
	stop(t, b)
	at.turnedOut(packet.ServerShuttingDown)
	later.turnedOut(packet.ServerShuttingDown)

	b = startIn(t, dir)
	defer stop(t, b)
	watcher = enter(t, dialPlain(t, b), kept(packet.V5, "watcher"))
	require.Equal(t, "at-once", string(watcher.message().Payload))
	watcher.fence() // and no other
	back, ack := present(t, dialPlain(t, b), kept(packet.V5, "later"))
	require.True(t, ack.SessionPresent)
	back.leave() // its will is gone with its new connection, which had none
	watcher.fence()
}

// startIn starts a broker whose store is in dir.
func startIn(t *testing.T, dir string) *broker.Broker {
	t.Helper()
	cfg, _, err := config.Load(config.Sources{Sets: []string{"node.data_dir=" + dir, "listeners.tcp.default.bind=127.0.0.1:0", "listeners.ws.default.bind=", "dashboard.bind="}})
	require.NoError(t, err)
	b, err := broker.Start(cfg, zerolog.Nop())
	require.NoError(t, err)
	return b
}

func stop(t *testing.T, b *broker.Broker) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	require.NoError(t, b.Shutdown(ctx))
}

func dialPlain(t *testing.T, b *broker.Broker) net.Conn {
	t.Helper()
	nc, err := net.Dial("tcp", b.Addr("listeners.tcp.default").String())
	require.NoError(t, err)
	t.Cleanup(func() { _ = nc.Close() })
	return nc
}

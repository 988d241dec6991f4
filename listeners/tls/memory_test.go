// SPDX-License-Identifier: Apache-2.0

package tls

import (
	"crypto/tls"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// memoryClient is a TLS client on a wire of its own.
type memoryClient struct {
	*tls.Conn
	wire *wire
}

// connected shakes hands in memory: the client runs as a Handshake of its own,
// since only those can wait.
func connected(t testing.TB, server *Server, c *tls.Config) (*Session, memoryClient) {
	t.Helper()
	pool, woken := NewPool(2, 2), make(chan struct{}, 100)
	wake := func() { woken <- struct{}{} }
	srv := NewHandshake(server, pool, 1<<16, wake)
	cli := NewHandshake(server, pool, 1<<16, wake)
	cli.wire = &wire{hs: cli}
	cli.conn = tls.Client(cli.wire, c)
	cli.arrived, cli.quit = make(chan struct{}, 1), make(chan struct{})
	require.True(t, pool.start(cli))
	var s, other *Session
	for s == nil || other == nil {
		<-woken
		require.NoError(t, srv.Feed(cli.Output(nil)))
		require.NoError(t, cli.Feed(srv.Output(nil)))
		var err error
		if s == nil {
			s, err, _ = srv.Done()
			require.NoError(t, err)
		}
		if other == nil {
			other, err, _ = cli.Done()
			require.NoError(t, err)
		}
	}
	client := memoryClient{cli.conn, cli.wire}
	if rest := append(other.rest, srv.Output(nil)...); len(rest) > 0 { // tickets
		cli.wire.src = rest
		_, err := cli.conn.Read(make([]byte, 1))
		require.Equal(t, wouldBlock{}, err)
	}
	return s, client
}

// encrypt has the client write b and returns the records.
func (c memoryClient) encrypt(t testing.TB, b []byte) []byte {
	_, err := c.Write(b)
	require.NoError(t, err)
	out := c.wire.out
	c.wire.out = nil
	return out
}

func TestFeedTakesManyRecordsAtOnceAndHalfOnes(t *testing.T) {
	a := newAuthority(t, "ca")
	both(t, a, "", func(t *testing.T, c *tls.Config) {
		s, client := connected(t, a.server(Config{}), c)
		one := client.encrypt(t, []byte("one"))
		two := client.encrypt(t, []byte("two"))
		dst, out, err := s.Feed(append(one, two[:10]...), []byte("zero"), []byte("out"))
		require.NoError(t, err)
		require.Equal(t, "zeroone", string(dst))
		require.Equal(t, "out", string(out))
		dst, _, err = s.Feed(two[10:], dst, nil)
		require.NoError(t, err)
		require.Equal(t, "zeroonetwo", string(dst))

		client.wire.out = nil
		require.NoError(t, client.CloseWrite())
		last := append(two[:0:0], client.wire.out...)
		dst, _, err = s.Feed(last, nil, nil)
		require.Equal(t, io.EOF, err)
		require.Empty(t, dst)
		_, _, err = s.Feed([]byte("more"), nil, nil)
		require.Equal(t, io.EOF, err)
	})
}

func TestRecordsAreFullFromTheFirst(t *testing.T) {
	a := newAuthority(t, "ca")
	s, _ := connected(t, a.server(Config{}), a.client(""))
	out, err := s.AppendEncrypted(nil, make([]byte, 64<<10))
	require.NoError(t, err)
	require.Less(t, len(out), 64<<10+4*40, "four records of 16 KiB and their frames")
}

// TestKeyUpdate needs a client that can ask for one; crypto/tls cannot.
func TestKeyUpdate(t *testing.T) {
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("needs openssl")
		}
		t.Skip("needs openssl")
	}
	a := newAuthority(t, "ca")
	addr, done := (&loop{t: t, server: a.server(Config{}), cut: oneByte, app: echo}).start()
	cmd := exec.CommandContext(t.Context(), openssl, "s_client", "-connect", addr, "-tls1_3", "-CAfile", a.file)
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, says := io.Pipe()
	cmd.Stdout, cmd.Stderr = says, says
	require.NoError(t, cmd.Start())
	say := func(line, answer string) {
		fmt.Fprintln(in, line)
		read(t, out, answer)
	}
	say("first words", "first words")
	for i := range 3 {
		for _, update := range []string{"k", "K"} { // K asks for one in return
			say(update, "KEYUPDATE")
			word := fmt.Sprintf("word %d behind %s", i, update)
			say(word, word)
		}
	}
	go io.Copy(io.Discard, out) // until says is closed
	defer says.Close()
	in.Close()
	cmd.Wait()
	if r := <-done; r.err != nil {
		require.Equal(t, io.EOF, r.err)
	}
}

// read reads until word has come.
func read(t *testing.T, r io.Reader, word string) string {
	var got []byte
	buf := make([]byte, 1)
	for !strings.Contains(string(got), word) {
		_, err := r.Read(buf)
		require.NoError(t, err, "%s", got)
		got = append(got, buf[0])
	}
	return string(got)
}

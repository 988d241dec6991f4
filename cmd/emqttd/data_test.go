// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"emqttd/actors/store"
	"emqttd/actors/store/pebble"
	"emqttd/protocol/message"
)

func TestDataGoesFromStoreToStoreAsAFile(t *testing.T) {
	dir := t.TempDir()
	from, to, file := filepath.Join(dir, "from"), filepath.Join(dir, "to"), filepath.Join(dir, "export")
	e, err := pebble.Open(from, pebble.Options{})
	require.NoError(t, err)
	done := make(chan error, 1)
	m := &message.Message{ID: message.ID{Seq: 1}, Topic: "t", Payload: []byte("x"), Retain: true}
	e.Write([]*store.Commit{{Ops: []store.Op{{Kind: store.Retain, Message: m}}}}, func(err error) { done <- err })
	require.NoError(t, <-done)

	data := func(args ...string) (int, string) {
		var out strings.Builder
		code := run(append([]string{"data"}, args...), &out, &out)
		return code, out.String()
	}
	code, said := data("export", file, "--set", "node.data_dir="+from)
	require.Equal(t, 1, code)
	require.Contains(t, said, "another broker uses this data directory")
	require.NoError(t, e.Close())

	code, said = data("export", file, "--set", "node.data_dir="+from)
	require.Zero(t, code, said)
	require.Contains(t, said, "0 sessions, 1 retained messages")
	code, said = data("import", file, "--set", "node.data_dir="+to)
	require.Zero(t, code, said)
	code, said = data("import", file, "--set", "node.data_dir="+to)
	require.Equal(t, 1, code)
	require.Contains(t, said, "holds a store already")
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, left, 3, "no half of a file")

	e, err = pebble.Open(to, pebble.Options{})
	require.NoError(t, err)
	found, err := e.Lookup([]string{"t", "u"})
	require.NoError(t, err)
	require.Equal(t, "x", string(found[0].Payload))
	require.Nil(t, found[1])
	require.NoError(t, e.Close())

	code, _ = data("export")
	require.Equal(t, 2, code)
}

// SPDX-License-Identifier: Apache-2.0

package pebble

import (
	"bytes"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"emqttd/actors/store"
	"emqttd/protocol/message"
)

// stocked is an engine with sessions that share messages, have some in flight
// and some of their own, and retained messages.
func stocked(t *testing.T, f vfs.FS, dir string, n int) *Engine {
	t.Helper()
	e := open(t, f, dir)
	ops := []store.Op{}
	for i := range n {
		ops = append(ops, put(uint64(i+1)))
	}
	for i := range n {
		seq := uint64(3*i + 1)
		shared, own, kept := give(seq, uint64(i+1), uint64(n-i)), give(seq+1, uint64(i+1)), give(seq+2)
		kept.Kind, kept.Message.Topic = store.Retain, fmt.Sprintf("kept/%05d", i)
		for _, op := range []*store.Op{&shared, &own, &kept} {
			op.Message.Payload = bytes.Repeat([]byte(fmt.Sprintf("%06d ", op.Message.ID.Seq)), 30)
		}
		ops = append(ops, shared, own, kept,
			store.Op{Kind: store.PutInflight, Session: uint64(i + 1), ID: 7, Message: own.Message},
			store.Op{Kind: store.AddAwait, Session: uint64(i + 1), ID: 9},
			store.Op{Kind: store.PutFilter, Session: uint64(i + 1), Filter: &store.Filter{Text: "t/#", QoS: 1}})
	}
	write(t, e, synced(ops...))
	return e
}

func TestAnExportIsAWholeStore(t *testing.T) {
	disk := vfs.NewMem()
	e := stocked(t, disk, "data", 50)
	want := dump(t, e)
	var online bytes.Buffer
	out, err := e.Export(&online)
	require.NoError(t, err)
	require.Equal(t, 50, out.Sessions)
	require.Equal(t, 50, out.Retained)
	require.EqualValues(t, online.Len(), out.Bytes)
	boot := e.Boot()
	require.NoError(t, e.Close())

	var offline bytes.Buffer
	_, err = ExportDir("data", disk, &offline, false)
	require.NoError(t, err)
	in, err := Import("copy", disk, &offline)
	require.NoError(t, err)
	require.Equal(t, 50, in.Sessions)
	again := open(t, disk, "copy")
	require.Equal(t, want, dump(t, again))
	require.Equal(t, boot+1, again.Boot(), "epochs go on")
	check(t, again)
	require.NoError(t, again.Close())
	_, err = Import("copy", disk, &online)
	require.ErrorContains(t, err, "holds a store already")
}

func TestAnExportOfADirectoryInUseIsRefused(t *testing.T) {
	dir := t.TempDir()
	e := stocked(t, vfs.Default, dir, 1)
	_, err := ExportDir(dir, nil, io.Discard, false)
	require.ErrorIs(t, err, ErrLocked)
	require.NoError(t, e.Close())
	_, err = ExportDir(filepath.Join(dir, "none"), nil, io.Discard, false)
	require.Error(t, err)
}

func TestABrokenExportIsNotImported(t *testing.T) {
	disk := vfs.NewMem()
	e := stocked(t, disk, "data", 5)
	var good bytes.Buffer
	_, err := e.Export(&good)
	require.NoError(t, err)
	require.NoError(t, e.Close())
	for name, change := range map[string]func(b []byte) []byte{
		"cut off":        func(b []byte) []byte { return b[:len(b)/2] },
		"no end":         func(b []byte) []byte { return b[:len(b)-6] },
		"a changed bit":  func(b []byte) []byte { b[len(b)/2] ^= 1; return b },
		"something else": func([]byte) []byte { return []byte("hello\n") },
		"nothing":        func([]byte) []byte { return nil },
		"a newer one": func(b []byte) []byte {
			return []byte(strings.Replace(string(b), fmt.Sprint("format ", format), "format 99", 1))
		},
		"a huge length": func(b []byte) []byte {
			return append(b[:len(fmt.Sprintf(exportLine, format))], 1, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F)
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := "copy " + name
			_, err := Import(dir, disk, bytes.NewReader(change(bytes.Clone(good.Bytes()))))
			require.Error(t, err)
			e := open(t, disk, dir) // it is a new one: nothing of the export is in it
			require.Zero(t, e.Last())
			require.NoError(t, e.Close())
		})
	}
}

func TestACheckpointIsAStoreOfItsOwn(t *testing.T) {
	dir := t.TempDir()
	e := stocked(t, vfs.Default, filepath.Join(dir, "data"), 20)
	want := dump(t, e)
	copied := filepath.Join(dir, "copy")
	require.NoError(t, e.Checkpoint(copied))
	require.Error(t, e.Checkpoint(copied), "it is there already")
	write(t, e, synced(put(999)))
	again := open(t, vfs.Default, copied)
	require.Equal(t, want, dump(t, again))
	check(t, again)
	require.NoError(t, again.Close())
	require.NoError(t, e.Close())
}

func TestSalvageReadsWhatIsWhole(t *testing.T) {
	disk := vfs.NewMem()
	const n = 3000
	e := stocked(t, disk, "data", n)
	require.NoError(t, e.db.Flush())
	require.NoError(t, e.Close())
	names, err := disk.List("data")
	require.NoError(t, err)
	damaged := 0
	for _, name := range names {
		if !strings.HasSuffix(name, ".sst") {
			continue
		}
		path := "data/" + name
		b := readAll(t, disk, path)
		for _, at := range []int{len(b) / 5, len(b) / 2, len(b) * 3 / 5} {
			copy(b[at:], bytes.Repeat([]byte{0xA5}, 8))
			damaged++
		}
		writeAll(t, disk, path, b)
	}
	require.Positive(t, damaged)
	_, err = ExportDir("data", disk, io.Discard, false)
	require.ErrorIs(t, err, ErrCorrupt)
	require.ErrorContains(t, err, ".sst", "the file is named")

	var file bytes.Buffer
	out, err := ExportDir("data", disk, &file, true)
	require.NoError(t, err)
	require.Positive(t, out.Damaged)
	t.Logf("%+v", *out)
	_, err = Import("copy", disk, &file)
	require.NoError(t, err)
	again := open(t, disk, "copy")
	sessions, retained := 0, 0
	require.NoError(t, again.Sessions(func(s store.Stored) bool { sessions++; return true }))
	require.NoError(t, again.Retained(func(m *message.Message) bool { retained++; return true }))
	require.Greater(t, sessions, n/2)
	require.Greater(t, retained, n/2)
	check(t, again)
	require.NoError(t, again.Close())
}

func readAll(t *testing.T, f vfs.FS, path string) []byte {
	file, err := f.Open(path)
	require.NoError(t, err)
	b, err := io.ReadAll(file)
	require.NoError(t, err)
	require.NoError(t, file.Close())
	return b
}

func writeAll(t *testing.T, f vfs.FS, path string, b []byte) {
	file, err := f.Create(path, vfs.WriteCategoryUnspecified)
	require.NoError(t, err)
	_, err = file.Write(b)
	require.NoError(t, err)
	require.NoError(t, file.Sync())
	require.NoError(t, file.Close())
}

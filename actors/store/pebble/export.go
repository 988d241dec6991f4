// SPDX-License-Identifier: Apache-2.0

package pebble

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"math"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// An export is a portable file with everything that a store holds: a line of
// text, then each key and value behind their lengths, then an empty key with the
// number of pairs, and the CRC-32C of all of it. Keys and values are the layout
// in doc.go, whose number stands in the line.
const exportLine = "emqttd export 1, store format %d\n"

// Exported is what an export or import was about.
type Exported struct {
	Keys, Sessions, Retained int
	Bytes                    int64
	// Of a salvage: ranges of keys that could not be read, and keys that made no
	// sense without them.
	Damaged, Orphans int
}

// Checkpoint makes dir, which must not exist, a store with everything that was
// written before; files are linked where the file system can. The engine goes
// on meanwhile.
func (e *Engine) Checkpoint(dir string) error {
	if _, err := e.opts.FS.Stat(dir); err == nil {
		return fmt.Errorf("store: checkpoint: %s is there already", dir)
	}
	if err := e.do(func() {}); err != nil {
		return err
	}
	if err := e.db.Checkpoint(dir, pebble.WithFlushedWAL()); err != nil {
		return e.explain(err)
	}
	return writeFormat(e.opts.FS, dir, "")
}

// Export writes everything that was written before to w. The engine goes on
// meanwhile, and must not be closed.
func (e *Engine) Export(w io.Writer) (*Exported, error) {
	v, err := e.view()
	if err != nil {
		return nil, err
	}
	out, err := export(v.snap, w, false)
	if err = errors.Join(err, v.snap.Close()); err != nil {
		return nil, e.explain(err)
	}
	return out, nil
}

// ExportDir is Export of a directory that no broker uses; it changes nothing in
// it. With salvage what cannot be read is left out, and so is what makes no sense
// without it.
func ExportDir(dir string, f vfs.FS, w io.Writer, salvage bool) (out *Exported, err error) {
	if f == nil {
		f = vfs.Default
	}
	fresh, _, err := checkFormat(f, dir)
	if err != nil {
		return nil, err
	}
	if fresh {
		return nil, fmt.Errorf("store: there is none in %s", dir)
	}
	lock, err := pebble.LockDirectory(dir, f)
	if err != nil {
		return nil, lockError(dir, err)
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	e := &Engine{opts: Options{FS: f, CacheBytes: defaultMemory, MemtableBytes: defaultMemory}, dir: dir, lock: lock, opening: true}
	db, err := pebble.Open(dir, &pebble.Options{FS: f, Lock: lock, Logger: logger{e}, ReadOnly: true, ErrorIfNotExists: true,
		FormatMajorVersion: pebble.FormatValueSeparation})
	if err != nil {
		return nil, e.explainOpen(err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if out, err = export(db, w, salvage); err != nil {
		return nil, e.explain(err)
	}
	return out, nil
}

// exporter writes pairs and keeps count.
type exporter struct {
	Exported
	w    *bufio.Writer
	crc  hash.Hash32
	head []byte
}

func export(db pebble.Reader, w io.Writer, salvage bool) (*Exported, error) {
	x := &exporter{w: bufio.NewWriterSize(w, 1<<20), crc: crc32.New(crc32.MakeTable(crc32.Castagnoli))}
	if err := x.write(fmt.Appendf(nil, exportLine, format)); err != nil {
		return nil, err
	}
	each := x.all
	if salvage {
		each = (&salvager{exporter: x, messages: map[uint64]bool{}}).all
	}
	if err := each(db); err != nil {
		return nil, err
	}
	end := binary.AppendUvarint([]byte{0}, uint64(x.Keys))
	if err := x.write(end); err != nil {
		return nil, err
	}
	sum := binary.BigEndian.AppendUint32(nil, x.crc.Sum32())
	if err := errors.Join(x.write(sum), x.w.Flush()); err != nil {
		return nil, err
	}
	return &x.Exported, nil
}

func (x *exporter) write(b []byte) error {
	x.Bytes += int64(len(b))
	_, err := x.w.Write(b)
	_, _ = x.crc.Write(b) // it never fails
	return err
}

func (x *exporter) pair(key, value []byte) error {
	x.Keys++
	x.count(key)
	x.head = binary.AppendUvarint(x.head[:0], uint64(len(key)))
	x.head = binary.AppendUvarint(x.head, uint64(len(value)))
	return errors.Join(x.write(x.head), x.write(key), x.write(value))
}

func (x *Exported) count(key []byte) {
	if _, k, _, ok := splitSessionKey(key); ok && k == kindRecord {
		x.Sessions++
	}
	if key[0] == spaceRetained {
		x.Retained++
	}
}

func (x *exporter) all(db pebble.Reader) error {
	it, err := db.NewIter(nil)
	if err != nil {
		return err
	}
	for ok := it.First(); ok && err == nil; ok = it.Next() {
		err = x.pair(it.Key(), it.Value())
	}
	return errors.Join(err, it.Close())
}

// Bounds of what an import takes for a key and a value: a topic or filter, and a
// message with the largest packet's payload and topic.
const (
	maxKey   = sessionKey + math.MaxUint16
	maxValue = 1<<28 + 1<<18
)

// Import makes dir, which must not hold a store, one with what an export holds.
// When it fails dir holds no store, and nothing of the export is good.
func Import(dir string, f vfs.FS, r io.Reader) (out *Exported, err error) {
	if f == nil {
		f = vfs.Default
	}
	if err := prepare(f, dir); err != nil {
		return nil, err
	}
	lock, err := pebble.LockDirectory(dir, f)
	if err != nil {
		return nil, lockError(dir, err)
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	fresh, _, err := checkFormat(f, dir)
	if err != nil {
		return nil, err
	}
	if !fresh {
		return nil, fmt.Errorf("store: import: %s holds a store already", dir)
	}
	if err := writeFormat(f, dir, incomplete); err != nil {
		return nil, err
	}
	e := &Engine{opts: Options{FS: f, CacheBytes: defaultMemory, MemtableBytes: defaultMemory}, dir: dir, lock: lock, opening: true}
	if err := e.openDB(true); err != nil {
		return nil, err
	}
	im := &importer{r: bufio.NewReaderSize(r, 1<<20), crc: crc32.New(crc32.MakeTable(crc32.Castagnoli)), db: e.db, batch: e.db.NewBatch()}
	err = im.all()
	if err = errors.Join(err, im.batch.Close(), e.db.Close()); err != nil {
		return nil, fmt.Errorf("store: import into %s: %w", dir, err)
	}
	return &im.Exported, writeFormat(f, dir, "")
}

// importer reads pairs into a database.
type importer struct {
	Exported
	r     *bufio.Reader
	crc   hash.Hash32
	db    *pebble.DB
	batch *pebble.Batch
	one   [1]byte
}

// ReadByte implements io.ByteReader, for lengths.
func (im *importer) ReadByte() (byte, error) {
	b, err := im.r.ReadByte()
	if err == nil {
		im.one[0] = b
		_, _ = im.crc.Write(im.one[:]) // it never fails
		im.Bytes++
	}
	return b, err
}

func (im *importer) bytes(dst []byte, n uint64) ([]byte, error) {
	const step = 1 << 20 // what a length claims is believed as it arrives
	dst = dst[:0]
	for n > 0 {
		k := min(n, step)
		at := len(dst)
		dst = append(dst, make([]byte, k)...)
		if _, err := io.ReadFull(im.r, dst[at:]); err != nil {
			return nil, err
		}
		n -= k
	}
	_, _ = im.crc.Write(dst) // it never fails
	im.Bytes += int64(len(dst))
	return dst, nil
}

func (im *importer) all() error {
	if err := im.line(); err != nil {
		return err
	}
	var key, value []byte
	for {
		more, err := im.pair(&key, &value)
		if err != nil {
			if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
				err = fmt.Errorf("the export is cut off after %d keys: %w", im.Keys, io.ErrUnexpectedEOF)
			}
			return err
		}
		if !more {
			return im.db.Apply(im.batch, pebble.Sync)
		}
		if im.batch.Len() >= maxBatch {
			if err := im.db.Apply(im.batch, pebble.NoSync); err != nil { // the last one syncs all
				return err
			}
			im.batch.Reset()
		}
	}
}

func (im *importer) line() error {
	var n int
	line, err := im.r.ReadString('\n')
	if _, bad := fmt.Sscanf(line, exportLine, &n); err != nil || bad != nil || line != fmt.Sprintf(exportLine, n) {
		return errors.New("this is no export of a store")
	}
	_, _ = im.crc.Write([]byte(line)) // it never fails
	im.Bytes += int64(len(line))
	if n > format {
		return fmt.Errorf("%w: the export has %d and this broker reads up to %d", ErrNewer, n, format)
	}
	return nil
}

// pair reads one pair, or the end.
func (im *importer) pair(key, value *[]byte) (more bool, err error) {
	n, err := binary.ReadUvarint(im)
	if err != nil {
		return false, err
	}
	if n == 0 {
		return false, im.end()
	}
	m, err := binary.ReadUvarint(im)
	if err != nil {
		return false, err
	}
	if n > maxKey || m > maxValue {
		return false, fmt.Errorf("a pair of %d and %d bytes behind %d keys is %w", n, m, im.Keys, ErrCorrupt)
	}
	if *key, err = im.bytes(*key, n); err != nil {
		return false, err
	}
	if *value, err = im.bytes(*value, m); err != nil {
		return false, err
	}
	im.Keys++
	im.count(*key)
	return true, im.batch.Set(*key, *value, nil)
}

func (im *importer) end() error {
	n, err := binary.ReadUvarint(im)
	if err != nil {
		return err
	}
	want := im.crc.Sum32()
	var sum [4]byte
	if _, err := io.ReadFull(im.r, sum[:]); err != nil {
		return err
	}
	im.Bytes += int64(len(sum))
	if n != uint64(im.Keys) || binary.BigEndian.Uint32(sum[:]) != want {
		return fmt.Errorf("the export is %w", ErrCorrupt)
	}
	return nil
}

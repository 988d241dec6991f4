// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"testing"

	"emqttd/protocol/packet"
	"emqttd/protocol/serializer"
)

// BenchmarkMessage is what the generator itself spends on a message, without
// the kernel: to write one, and to read, verify and acknowledge one.
func BenchmarkMessage(b *testing.B) {
	const batch = 100
	r := &run{Config: &Config{Size: 64, Window: batch, Publishers: 1, Subscribers: 1}, loop: &loop{}, stamp: 9, result: &Result{}, budget: -1}
	r.tally, r.sending = &r.result.Tally, true
	m := &packet.Publish{Topic: []byte("bench/t0"), Payload: make([]byte, 64)}
	frame, err := serializer.AppendPublish(nil, m, packet.V311)
	if err != nil {
		b.Fatal(err)
	}
	p := &publisher{r: r, fan: 1, frame: frame, payload: frame[len(frame)-64:]}
	p.c = &conn{l: r.loop, role: p, state: ready, dirty: true}
	r.pubs = []*publisher{p}
	s := &subscriber{r: r, judge: inOrder, streams: make([]stream, 1)}
	s.c = &conn{l: r.loop, role: s, state: ready, version: packet.V311, dirty: true}
	b.ReportAllocs()
	for range b.N/batch + 1 {
		p.c.out = p.c.out[:0]
		p.fill(0)
		if err := s.c.received(p.c.out, 0, len(p.c.out)); err != nil {
			b.Fatal(err)
		}
	}
	if r.tally.Delivered < int64(b.N) || !r.tally.clean() {
		b.Fatalf("%+v", r.tally)
	}
}

func BenchmarkFrame(b *testing.B) {
	w, payload := newWebSocket(1), make([]byte, 16<<10)
	var out []byte
	b.SetBytes(int64(len(payload)))
	b.ReportAllocs()
	for b.Loop() {
		out = w.frame(out[:0], opBinary, payload)
	}
}

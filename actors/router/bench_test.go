// SPDX-License-Identifier: Apache-2.0

package router_test

import (
	"fmt"
	"testing"

	"emqttd/actors/cast"
	"emqttd/actors/router"
	"emqttd/protocol/message"
)

// BenchmarkMatch finds the targets of one message among 10,000 other filters,
// and makes the dispatch for each.
func BenchmarkMatch(b *testing.B) {
	for _, n := range []int{0, 1, 10, 1000} {
		b.Run(fmt.Sprint("targets=", n), func(b *testing.B) {
			table, ss := router.NewTable(0), newSessions(max(n, 1))
			for i := range 10_000 {
				subscribe(table, ss.sub(0, fmt.Sprint("other/", i, "/+"), 0))
			}
			for i := range n {
				subscribe(table, ss.sub(i, "device/7/state", 1))
			}
			m := &message.Message{Topic: "device/7/state"}
			b.ReportAllocs()
			for b.Loop() {
				f := table.Match("device/7/state", router.Options{From: "p"}).First(m)
				for i := range f.Len() {
					_, d := f.At(i)
					d.(*cast.Dispatch).Release()
				}
				f.Done()
			}
			if n > 0 {
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/target")
			}
		})
	}
}

// BenchmarkMatchShared chooses one of ten members.
func BenchmarkMatchShared(b *testing.B) {
	for _, strategy := range []string{"round_robin", "random", "sticky", "hash_topic"} {
		b.Run(strategy, func(b *testing.B) {
			table, ss := router.NewTable(0), newSessions(10)
			for i := range 10 {
				join(table, "g", ss.member(i, "t"))
			}
			b.ReportAllocs()
			m := &message.Message{Topic: "t"}
			for b.Loop() {
				f := table.Match("t", router.Options{Strategy: strategy}).First(m)
				for i := range f.Len() {
					_, d := f.At(i)
					d.(*cast.Dispatch).Release()
				}
				f.Done()
			}
		})
	}
}

// BenchmarkSubscribe enters a subscription and takes it out again, beside n
// others.
func BenchmarkSubscribe(b *testing.B) {
	for _, c := range []struct {
		name   string
		others int
		filter func(i int) string
	}{
		{"own filter, 100000 filters", 100_000, func(i int) string { return fmt.Sprint("device/", i, "/+") }},
		{"one filter, 100000 subscribers", 100_000, func(int) string { return "news" }},
	} {
		b.Run(c.name, func(b *testing.B) {
			table, ss := router.NewTable(0), newSessions(1)
			for i := range c.others {
				subscribe(table, ss.sub(0, c.filter(i), 0))
			}
			s := ss.sub(0, c.filter(c.others), 0)
			in := route(nil, s)
			out := route(s, nil)
			b.ReportAllocs()
			for b.Loop() {
				table.Accept(in)
				table.Accept(out)
			}
		})
	}
}

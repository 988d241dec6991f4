// SPDX-License-Identifier: Apache-2.0

//go:build unix

package broker_test

import (
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"emqttd/listeners/dashboard/browsertest"
	"emqttd/protocol/packet"
	"emqttd/protocol/serializer"
	"emqttd/supervisor/broker/brokertest"
)

// connections are how many clients connect: PAGE_CONNECTIONS, over TCP as many as
// the descriptors allow with both ends in this process, the others in memory.
func connections(t *testing.T) (overTCP, inMemory int) {
	t.Helper()
	n := 300
	if text := os.Getenv("PAGE_CONNECTIONS"); text != "" {
		var err error
		n, err = strconv.Atoi(text)
		require.NoError(t, err)
	}
	var most syscall.Rlimit
	require.NoError(t, syscall.Getrlimit(syscall.RLIMIT_NOFILE, &most))
	overTCP = min(n*9/10, int(most.Cur)/2-200)
	return overTCP, n - overTCP
}

// joinInMemory lets clients in that have no socket and, on their side, nothing but
// the end of a pipe.
func joinInMemory(t *testing.T, b *brokertest.Broker, from, n int) {
	t.Helper()
	ends := make([]net.Conn, 0, n)
	t.Cleanup(func() {
		for _, nc := range ends {
			_ = nc.Close()
		}
	})
	for i := range n {
		nc, err := b.Dial(t.Context())
		require.NoError(t, err)
		ends = append(ends, nc)
		request, err := serializer.Append(nil, clean(packet.V311, fmt.Sprintf("device-%05d", from+i)), packet.V311)
		require.NoError(t, err)
		_, err = nc.Write(request)
		require.NoError(t, err)
		answer := make([]byte, 4)
		_, err = io.ReadFull(nc, answer)
		require.NoError(t, err)
		require.Equal(t, []byte{0x20, 2, 0, 0}, answer)
	}
}

// cpu is what this process has used of the processors, broker and clients.
func cpu(t *testing.T) time.Duration {
	t.Helper()
	var r syscall.Rusage
	require.NoError(t, syscall.Getrusage(syscall.RUSAGE_SELF, &r))
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// asked are the page's requests below a path of the API that were answered.
func asked(path string) string {
	return "performance.getEntriesByType('resource').filter(e => /api\\/v1\\/" + strings.ReplaceAll(path, "/", "\\/") + "\\b/.test(e.name))"
}

// took is how long the page waited for its latest answer from a path.
func (v *visitor) took(what, path string) {
	v.t.Helper()
	v.Wait("!document.querySelector('[aria-busy=true]')")
	path, _, _ = strings.Cut(path, "?")
	var ms float64
	v.Eval(&ms, asked(path)+".at(-1).duration")
	v.t.Logf("%s: %.0f ms", what, ms)
	require.Less(v.t, ms, 5000.0)
}

// TestAPageOfManyClientsIsLiveAndCheap looks at the clients of a broker that has
// connections, and entries in its directory up to 100,000, as operators of large
// brokers do all day.
func TestAPageOfManyClientsIsLiveAndCheap(t *testing.T) {
	const all = 100_000
	withoutRace(t)
	v := visit(t, browsertest.Start(t), brokertest.Start, "runtime.loops=1")
	overTCP, inMemory := connections(t)
	n := overTCP + inMemory
	for i := range overTCP {
		join(t, v.b, clean(packet.V5, fmt.Sprintf("device-%05d", i)))
	}
	began := time.Now()
	joinInMemory(t, v.b, overTCP, inMemory)
	t.Logf("%d connections in memory took %.1f s", inMemory, time.Since(began).Seconds())
	v.b.Crowd("device-00000", all-n)
	v.login("admin", "public")
	v.WaitText("What the broker holds")
	v.to("clients")
	v.WaitText("1–50 of 100,000")
	late := join(t, v.b, clean(packet.V5, "a-new-one"))
	v.WaitText("a-new-one")
	require.NoError(t, late.Close())
	v.WaitNoText("a-new-one")

	v.Press("Next page")
	v.WaitText("51–100 of 100,000")
	v.took("next page", "clients")
	v.Open(v.url + "/#/clients?page=1000")
	v.WaitText("49,951–50,000 of 100,000")
	v.took("page 1,000", "clients")
	v.Open(v.url + "/#/clients?sort=-connected_at")
	v.Wait("document.querySelector('th[aria-sort=descending]')?.innerText.includes('Connected') && !document.querySelector('[aria-busy=true]')")
	v.took("sorted by another column", "clients")
	v.Fill("Client ID, user name or address", "device-00042")
	v.WaitText("device-00042")
	v.Wait("document.querySelectorAll('tbody tr').length === 1")
	v.took("search", "clients")

	v.to("clients")
	v.Eval(nil, "performance.clearResourceTimings()")
	used := cpu(t)
	began = time.Now()
	v.Wait(asked("clients") + ".length >= 3") // one every five seconds, and the figures every second
	share := float64(cpu(t)-used) / float64(time.Since(began))
	t.Logf("%d connections of %d entries: the broker uses %.2f %% of a processor while the page is open", n, all, 100*share)
	require.Less(t, share, 0.2)

	// All the actors there are, and the last page of them.
	v.to("actors?of=client_sup/0")
	v.WaitText(fmt.Sprintf("1–50 of %s", thousands(3*n)))
	v.Wait("document.querySelector('.pager input')")
	v.Fill("Page", "999999")
	v.Key("Enter")
	v.Wait("document.querySelector('[aria-label=\"Next page\"]').disabled && !document.querySelector('[aria-busy=true]')")
	v.took("the last page of actors", "actors/children")
	v.to("actors")
	v.took("the tree of actors", "actors")
	v.WaitText("more: list all, page by page")
}

// thousands writes 1234567 as the page does, 1,234,567.
func thousands(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// TestPagesOfManyTopicsAreQuick looks through 100,000 subscriptions to as many
// filters, and as many retained messages.
func TestPagesOfManyTopicsAreQuick(t *testing.T) {
	const all = 100_000
	alongside(t)
	v := visit(t, browsertest.Start(t), brokertest.Start)
	p := join(t, v.b, clean(packet.V311, "librarian"))
	const step = 1000
	for i := 0; i < all; i += step {
		filters := make([]string, step)
		for k := range filters {
			filters[k] = fmt.Sprintf("book/%05d/read", i+k)
		}
		p.subscribe(packet.QoS0, filters...)
	}
	for i := range all {
		p.send(retained(pub(packet.QoS0, 0, fmt.Sprintf("shelf/%03d/%05d", i%1000, i), "lent")))
	}
	p.fence()
	v.login("admin", "public")
	v.WaitText("What the broker holds")
	for _, tt := range []struct{ page, label, count, search, only string }{
		{"subscriptions", "Client ID or topic filter", "100,000", "book/00042", "book/00042/read"},
		{"routes", "Topic filter", "100,000", "book/00042", "book/00042/read"},
		{"topics", "Topic", "200,000", "shelf/042/00042", "shelf/042/00042"},
		{"retained?view=list", "Topic", "100,05", "shelf/042/00042", "shelf/042/00042"},
	} {
		v.to(tt.page)
		v.WaitText("1–50 of " + tt.count)
		v.took(tt.page+": first page", tt.page)
		v.Fill("Page", "1000")
		v.Key("Enter")
		v.WaitText("49,951–50,000 of " + tt.count)
		v.took(tt.page+": page 1,000", tt.page)
		v.Fill(tt.label, tt.search)
		v.Wait("document.querySelectorAll('tbody tr').length === 1")
		v.WaitText(tt.only)
		v.took(tt.page+": search", tt.page)
	}
	v.to("retained")
	v.Wait("[...document.querySelectorAll('[role=treeitem]')].some(e => e.innerText.includes('shelf') && e.innerText.includes('100,000 messages'))")
	v.took("retained: the tree", "retained/tree")
	v.to("retained?topic=shelf/042/00042")
	v.Wait("document.querySelector('.payload')?.innerText.includes('lent')")
	v.took("retained: its branch", "retained/tree")
}

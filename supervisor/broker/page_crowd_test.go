// SPDX-License-Identifier: Apache-2.0

//go:build unix

package broker_test

import (
	"fmt"
	"os"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"emqttd/listeners/dashboard/browsertest"
	"emqttd/protocol/packet"
	"emqttd/supervisor/broker/brokertest"
)

// connections is how many clients connect over TCP: PAGE_CONNECTIONS, at most
// what the descriptors allow with both ends in this process.
func connections(t *testing.T) int {
	t.Helper()
	n := 300
	if text := os.Getenv("PAGE_CONNECTIONS"); text != "" {
		var err error
		n, err = strconv.Atoi(text)
		require.NoError(t, err)
	}
	var most syscall.Rlimit
	require.NoError(t, syscall.Getrlimit(syscall.RLIMIT_NOFILE, &most))
	return min(n, int(most.Cur)/2-200)
}

// cpu is what this process has used of the processors, broker and clients.
func cpu(t *testing.T) time.Duration {
	t.Helper()
	var r syscall.Rusage
	require.NoError(t, syscall.Getrusage(syscall.RUSAGE_SELF, &r))
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// asked are the requests for lists of clients that the page has had answered.
const asked = "performance.getEntriesByType('resource').filter(e => e.name.includes('/api/v1/clients?'))"

// TestAPageOfManyClientsIsLiveAndCheap looks at the clients of a broker that has
// connections, and entries in its directory up to 100,000, as operators of large
// brokers do all day.
func TestAPageOfManyClientsIsLiveAndCheap(t *testing.T) {
	const all = 100_000
	if underRace {
		t.Skip("most of it is the browser's time: played without the race detector")
	}
	v := visit(t, browsertest.Start(t), brokertest.Start)
	n := connections(t)
	for i := range n {
		join(t, v.b, clean(packet.V5, fmt.Sprintf("device-%05d", i)))
	}
	v.b.Crowd("device-00000", all-n)
	v.login("admin", "public")
	v.WaitText("What the broker holds")
	v.to("clients")
	v.WaitText("1–50 of 100,000")
	late := join(t, v.b, clean(packet.V5, "a-new-one"))
	v.WaitText("a-new-one")
	require.NoError(t, late.Close())
	v.WaitNoText("a-new-one")

	// took is how long the page waited for its latest answer.
	took := func(what string) {
		t.Helper()
		var ms float64
		v.Eval(&ms, asked+".at(-1).duration")
		t.Logf("%s: %.0f ms", what, ms)
		require.Less(t, ms, 5000.0)
	}
	v.Press("Next page")
	v.WaitText("51–100 of 100,000")
	took("next page")
	v.Open(v.url + "/#/clients?page=1000")
	v.WaitText("49,951–50,000 of 100,000")
	took("page 1,000")
	v.Open(v.url + "/#/clients?sort=-connected_at")
	v.Wait("document.querySelector('th[aria-sort=descending]')?.innerText.includes('Connected') && !document.querySelector('[aria-busy=true]')")
	took("sorted by another column")
	v.Fill("Client ID, user name or address", "device-00042")
	v.WaitText("device-00042")
	v.Wait("document.querySelectorAll('tbody tr').length === 1")
	took("search")

	v.to("clients")
	v.Eval(nil, "performance.clearResourceTimings()")
	used, began := cpu(t), time.Now()
	v.Wait(asked + ".length >= 3") // one every five seconds, and the figures every second
	share := float64(cpu(t)-used) / float64(time.Since(began))
	t.Logf("%d connections of %d entries: the broker uses %.2f %% of a processor while the page is open", n, all, 100*share)
	require.Less(t, share, 0.2)
}

// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"context"
	"crypto/rand"
	"strings"
	"sync"
)

// Run plays the scripts of list against the broker that dial reaches, and
// returns their results in the order of list. At most opts.Parallel scripts run
// at a time, each on a goroutine of its own; Run returns when all have ended.
// Scripts use client identifiers and topics that no other run uses. Cancelling
// ctx stops the run: what has not ended by then has the verdict Error.
func Run(ctx context.Context, dial Dialer, list []Statement, opts Options) []Result {
	opts = opts.withDefaults()
	results := make([]Result, len(list))
	run := strings.ToLower(rand.Text()[:8])
	caps, err := probe(ctx, dial, opts, run)
	if err != nil {
		for i := range list {
			results[i] = Result{Statement: &list[i], Verdict: Error, Reason: err.Error()}
			opts.report(results[i])
		}
		return results
	}
	var (
		workers sync.WaitGroup
		mu      sync.Mutex // guards next and orders the calls of Progress
		next    int
	)
	for range min(opts.Parallel, len(list)) {
		workers.Go(func() {
			for {
				mu.Lock()
				i := next
				next++
				mu.Unlock()
				if i >= len(list) {
					return
				}
				results[i] = play(ctx, dial, opts, caps, &list[i], run, i)
				mu.Lock()
				opts.report(results[i])
				mu.Unlock()
			}
		})
	}
	workers.Wait()
	return results
}

func (o Options) report(r Result) {
	if o.Progress != nil {
		o.Progress(r)
	}
}

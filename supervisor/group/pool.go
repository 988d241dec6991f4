// SPDX-License-Identifier: Apache-2.0

package group

import "sync"

// Pool runs what takes too long for an event loop (password hashing, file
// reads) on a bounded number of goroutines. Its results go back as messages.
type Pool struct {
	jobs chan func()
	wg   sync.WaitGroup
	stop sync.Once
}

// NewPool starts workers; queue jobs wait at most.
func NewPool(workers, queue int) *Pool {
	p := &Pool{jobs: make(chan func(), queue)}
	p.wg.Add(workers)
	for range workers {
		go p.work()
	}
	return p
}

func (p *Pool) work() {
	ended := false
	defer func() {
		if !ended { // a Goexit or panic in a job costs the job, not the worker
			_ = recover()
			go p.work()
			return
		}
		p.wg.Done()
	}()
	for job := range p.jobs {
		job()
	}
	ended = true
}

// Try queues a job; false says that the pool is full: the caller answers busy.
func (p *Pool) Try(job func()) bool {
	select {
	case p.jobs <- job:
		return true
	default:
		return false
	}
}

// Close ends the pool when the queued jobs are done. Nobody calls Try after.
func (p *Pool) Close() {
	p.stop.Do(func() { close(p.jobs) })
	p.wg.Wait()
}

// SPDX-License-Identifier: Apache-2.0

package torture

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"time"

	"emqttd/protocol/client"
	"emqttd/protocol/packet"
)

// Options of a run; Start and Address are required, zero values are defaults.
type Options struct {
	Start      string // command that starts the broker and stays in the foreground
	Address    string // host:port of its MQTT listener on TCP
	Rounds     int    // 10
	Messages   int    // of one round, over all publishers; 800
	Publishers int    // 4
	Away       int    // subscribers that are away during the load; 2
	Seed       uint64 // 0: any
	Payload    int    // bytes of a message; 64
	// Patience bounds the start of the broker, and the end of a round.
	Patience time.Duration // 30 s
	// Username and Password of every CONNECT; "": none.
	Username, Password string
	Log                io.Writer // what the broker prints; nil: nowhere
	Progress           func(string)
}

func (o Options) withDefaults() Options {
	o.Rounds, o.Messages = cmp.Or(o.Rounds, 10), cmp.Or(o.Messages, 800)
	o.Publishers, o.Away = cmp.Or(o.Publishers, 4), cmp.Or(o.Away, 2)
	o.Seed, o.Payload = cmp.Or(o.Seed, rand.Uint64()>>1+1), cmp.Or(o.Payload, 64)
	o.Patience = cmp.Or(o.Patience, 30*time.Second)
	if o.Log == nil {
		o.Log = io.Discard
	}
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
	return o
}

// run is one run.
type run struct {
	Options
	ctx    context.Context
	rng    *rand.Rand
	prefix string // of topics and client identifiers
	child  *child
	tally  *tally

	pubs []*publisher
	subs []*subscriber
}

// Run tortures the broker and reports. An error means that nothing can be said:
// the broker does not start, or never comes back.
func Run(ctx context.Context, o Options) (report *Report, err error) {
	o = o.withDefaults()
	r := &run{Options: o, ctx: ctx, rng: rand.New(rand.NewPCG(o.Seed, 1)), tally: newTally(),
		prefix: fmt.Sprintf("torture-%x", o.Seed&0xFFFFFF)}
	began, flushes := time.Now(), diskFlushes()
	if err := r.start(); err != nil {
		return nil, err
	}
	defer func() { r.child.kill() }()
	if err := r.crowd(); err != nil {
		return nil, err
	}
	defer r.disperse()
	for n := range o.Rounds {
		if err := r.round(n + 1); err != nil {
			return nil, fmt.Errorf("round %d, seed %d: %w", n+1, o.Seed, err)
		}
	}
	report = r.tally.report()
	report.Seed, report.Rounds, report.Took, report.Flushes = o.Seed, o.Rounds, time.Since(began), diskFlushes()-flushes
	return report, nil
}

func (r *run) start() (err error) {
	r.child, err = startChild(r.Start, r.Log)
	if err != nil {
		return err
	}
	return r.child.await(r.ctx, r.Address, r.Patience)
}

// round is one kill and what comes after it.
func (r *run) round(n int) error {
	mourned, err := r.mourn(n)
	if err != nil {
		return err
	}
	before := r.tally.acknowledged()
	for i, p := range r.pubs {
		p.begin(r.Messages/len(r.pubs), i == 0)
	}
	// The moment: after so many acknowledgements, and a little later.
	r.tally.await(r.ctx, before+r.rng.IntN(r.Messages), r.Patience)
	wait(r.ctx, time.Duration(r.rng.IntN(3000))*time.Microsecond)
	r.child.kill()
	if err := r.start(); err != nil {
		return err
	}
	for _, p := range r.pubs {
		if err := p.finish(r.ctx, r.Patience); err != nil {
			return err
		}
	}
	if err := r.fetch(); err != nil {
		return err
	}
	if err := r.lookUp(n); err != nil {
		return err
	}
	r.tally.wills++
	mourned()
	r.Progress(fmt.Sprintf("round %d of %d: %d acknowledged", n, r.Rounds, r.tally.acknowledged()))
	return nil
}

// wait waits for d, or until ctx ends.
func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

func (r *run) connect(id string, clean bool) packet.Connect {
	return packet.Connect{Version: packet.V311, ClientID: r.prefix + "-" + id, CleanStart: clean, KeepAlive: 60,
		HasUsername: r.Username != "", Username: r.Username, HasPassword: r.Password != "", Password: []byte(r.Password)}
}

func (r *run) dial(ctx context.Context) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, "tcp", r.Address)
}

// newClient makes a client of a configuration that is ours, and so is good.
func newClient(conf client.Config) *client.Client {
	c, err := client.NewClient(conf)
	if err != nil {
		panic(err)
	}
	return c
}

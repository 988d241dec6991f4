// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"errors"
	"net"
	"sync"

	"emqttd/protocol/packet"
)

// Client is an MQTT client with one session and at most one connection. Its
// methods may be called from any goroutine.
//
// Connect begins a run, which ends when the connection is lost (without
// Reconnect, or when that gives up), and after Disconnect or Close. After it a
// new Connect goes on with the session as it was left.
type Client struct {
	cfg Config

	mu   sync.Mutex // guards what follows, and the link and session they reach
	run  *run       // nil: not connected and not trying to be
	last error      // why the run before ended
	link *link      // nil: no connection just now
	id   string     // client identifier, as given or as assigned
	sess session
	slot gate // Window
}

// NewClient is a client that is not connected. It returns the error of
// loading cfg.Store.
func NewClient(cfg Config) (*Client, error) {
	cfg = cfg.withDefaults()
	c := &Client{cfg: cfg, id: cfg.Connect.ClientID, last: ErrNotConnected, sess: newSession(cfg.Store)}
	n, err := c.sess.load()
	if err != nil {
		return nil, err
	}
	c.slot.free = cfg.Window - n
	return c, nil
}

// Connect dials, sends CONNECT and returns the CONNACK that accepted it. An
// error (a *RefusedError when the server said no) leaves the client as it was;
// Reconnect is for connections that have been, not for this first one.
func (c *Client) Connect(ctx context.Context) (*packet.Connack, error) {
	r, err := c.begin(ctx)
	if err != nil {
		return nil, err
	}
	l, err := c.open(ctx, r, c.cfg.Connect.CleanStart)
	if err != nil {
		c.mu.Lock()
		c.run, c.last = nil, err
		c.mu.Unlock()
		r.err = err
		r.cancel(err)
		close(r.offline)
		close(r.done)
		return nil, err
	}
	var dispatched sync.WaitGroup
	if r.events != nil {
		dispatched.Go(func() { c.dispatch(r) })
	}
	c.attach(r, l)
	go c.live(r, l, &dispatched)
	return l.connack, nil
}

// begin claims the client for a new run, after the last handler call of an
// earlier one has returned.
func (c *Client) begin(ctx context.Context) (*run, error) {
	for {
		c.mu.Lock()
		old := c.run
		if old == nil {
			break
		}
		c.mu.Unlock()
		select {
		case <-old.offline:
		default:
			return nil, ErrConnected
		}
		select {
		case <-old.done:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	defer c.mu.Unlock()
	r := &run{halt: make(chan struct{}), offline: make(chan struct{}), done: make(chan struct{})}
	r.ctx, r.cancel = context.WithCancelCause(context.Background())
	if c.cfg.Handler != nil || c.cfg.OnConnect != nil || c.cfg.OnDisconnect != nil {
		r.events = make(chan event, c.cfg.QueueSize)
	}
	c.run = r
	return r, nil
}

// open dials and shakes hands.
func (c *Client) open(ctx context.Context, r *run, cleanStart bool) (*link, error) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.ConnectTimeout)
	defer cancel()
	stop := context.AfterFunc(r.ctx, cancel) // Close ends it as well
	defer stop()
	nc, err := c.cfg.Dial(ctx)
	if err != nil {
		return nil, c.cause(r, err)
	}
	l := c.newLink(nc)
	if err := l.handshake(ctx, cleanStart); err != nil {
		_ = nc.Close() // the handshake's error says more
		return nil, c.cause(r, err)
	}
	return l, nil
}

func (c *Client) cause(r *run, err error) error {
	if r.ctx.Err() != nil {
		return context.Cause(r.ctx)
	}
	return err
}

// Disconnect sends d (nil: a normal DISCONNECT) behind everything already
// published, waits until the server has closed or CloseTimeout is over, and
// ends the run. Publishes not acknowledged by then complete with ErrClosed and
// stay in the session. When ctx ends first, the connection is closed at once.
func (c *Client) Disconnect(ctx context.Context, d *packet.Disconnect) error {
	if d == nil {
		d = &packet.Disconnect{}
	}
	c.mu.Lock()
	r, l := c.run, c.link
	if r == nil {
		c.mu.Unlock()
		return ErrNotConnected
	}
	r.stop()
	var err error
	if l != nil {
		err = l.finish(d, ErrClosed)
	}
	c.mu.Unlock()
	if l == nil || err != nil {
		return errors.Join(err, c.Close())
	}
	select {
	case <-r.offline:
		return nil
	case <-ctx.Done():
		return errors.Join(ctx.Err(), c.Close())
	}
}

// Close closes the connection without a DISCONNECT, so that the server
// publishes the will, and ends the run. It does not wait: see Done.
func (c *Client) Close() error {
	c.mu.Lock()
	r, l := c.run, c.link
	if r != nil {
		r.stop()
	}
	c.mu.Unlock()
	if r == nil {
		return nil
	}
	r.cancel(ErrClosed)
	if l != nil {
		l.fail(ErrClosed)
	}
	return nil
}

// Drop closes the connection as a failing network would: it is lost, and
// Reconnect, if set, goes to work.
func (c *Client) Drop() {
	c.mu.Lock()
	l := c.link
	c.mu.Unlock()
	if l != nil {
		l.fail(lost(net.ErrClosed))
	}
}

var alreadyDone = func() chan struct{} { ch := make(chan struct{}); close(ch); return ch }()

// Done is closed when the present run has ended: no connection, no goroutine,
// no handler or callback running. It is closed already when there is no run.
func (c *Client) Done() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.run == nil {
		return alreadyDone
	}
	return c.run.done
}

// Wait waits for the end of the present run and returns why it, or without one
// the run before, ended: ErrClosed after Close or Disconnect, a
// *DisconnectError, a *ProtocolError, ErrPingTimeout, or an error that wraps
// ErrConnectionLost. It returns ErrNotConnected when there was none.
func (c *Client) Wait() error {
	c.mu.Lock()
	r, last := c.run, c.last
	c.mu.Unlock()
	if r == nil {
		return last
	}
	<-r.done
	return r.err
}

// ClientID is the client identifier, the assigned one once there is one.
func (c *Client) ClientID() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.id
}

// Limits are those of the present connection; false: there is none.
func (c *Client) Limits() (Limits, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.link == nil {
		return Limits{}, false
	}
	return c.link.limits, true
}

// SPDX-License-Identifier: Apache-2.0

package conn

import (
	"net/netip"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"emqttd/actors/cast"
	"emqttd/actors/metrics"
	"emqttd/supervisor/cell"
	"emqttd/supervisor/group"
)

// acts is a wire that notes what the loop does to it.
type acts []string

func (a *acts) Write(b []byte) (int, error) { return len(b), nil }
func (a *acts) Shutdown()                   { *a = append(*a, "shutdown") }
func (a *acts) Close()                      { *a = append(*a, "close") }
func (a *acts) Want(read, _ bool) {
	if read {
		*a = append(*a, "read")
	} else {
		*a = append(*a, "rest")
	}
}

type standing struct{}

func (standing) Now() int64 { return int64(time.Hour) }

// wired is an MQTT connection of a manual loop, whose actors nobody has started.
func wired(t *testing.T, w Wire) (*Loop, *Conn) {
	t.Helper()
	env := cast.NewEnv("n", zerolog.Nop(), new(metrics.Metrics), &cast.Limits{OutHigh: 1 << 20, OutLow: 1 << 10})
	opts := &Options{Env: env, Clock: standing{}, Log: zerolog.Nop(),
		Actors: func(c *cast.Conn, o cell.Owner, g *group.Group, _ *Listener) {
			for _, a := range []*cell.Cell{&c.Loop, &c.Client, &c.Protocol} {
				cell.Init(a, &cell.Kind{Name: "nobody"}, "nobody", g, o)
			}
		}}
	opts.Bounds.Store(&Bounds{WriteTimeout: time.Second})
	l := NewManualLoop(0, opts)
	ln := &Listener{Base: &cast.Listener{Name: "tcp"}}
	ln.Terms.Store(&Terms{})
	ln.Attach([]*Loop{l})
	return l, ln.Connect(l, netip.AddrPort{}, w).c
}

func TestTheEndOfAConnection(t *testing.T) {
	for _, c := range []struct {
		name   string
		reason metrics.Close
		unread bool
		want   acts
	}{
		{"behind a DISCONNECT it is closed at once", metrics.CloseNormal, false, acts{"shutdown", "close"}},
		{"whoever breaks the protocol may be sending still, and reads our last words first", metrics.CloseFault, false, acts{"shutdown"}},
		{"what was not read would become a RST: it is read first", metrics.CloseNormal, true, acts{"rest", "shutdown", "read"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got acts
			l, conn := wired(t, &got)
			if c.unread {
				conn.Accept(&cast.Control{Op: cast.Pause})
				l.Turn()
			}
			conn.Accept(&cast.Control{Op: cast.CloseSocket, Reason: c.reason})
			l.Turn()
			require.Equal(t, c.want, got)
			require.Zero(t, l.Len())
		})
	}
}

func TestAPauseThatIsOverWithinTheTurnIsNotToldToTheSocket(t *testing.T) {
	var got acts
	l, conn := wired(t, &got)
	conn.Accept(&cast.Control{Op: cast.Pause})
	conn.Accept(&cast.Control{Op: cast.Resume})
	l.Turn()
	require.Empty(t, got)
	conn.Accept(&cast.Control{Op: cast.Pause})
	l.Turn()
	require.Equal(t, acts{"rest"}, got)
	conn.Accept(&cast.Control{Op: cast.Resume})
	l.Turn()
	require.Equal(t, acts{"rest", "read"}, got)
}

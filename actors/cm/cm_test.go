// SPDX-License-Identifier: Apache-2.0

package cm_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"emqttd/actors/cast"
	"emqttd/actors/cm"
	"emqttd/supervisor/cell"
)

func client(id string, epoch uint64) *cast.Client {
	return &cast.Client{ClientID: id, Epoch: epoch, Conn: new(cast.Conn)}
}

func gone(c *cast.Client) *cast.ClientGone {
	return &cast.ClientGone{ClientID: c.ClientID, Conn: c.Conn}
}

func TestATakeoverLeavesTheLaterConnection(t *testing.T) {
	first, second := client("c", 1), client("c", 2)
	for name, order := range map[string][]cell.Message{
		"in order":                       {first, gone(first), second},
		"the later arrives before":       {first, second, gone(first)},
		"the earlier arrives afterwards": {second, first, gone(first)},
	} {
		t.Run(name, func(t *testing.T) {
			d := cm.NewDirectory(nil)
			for _, m := range order {
				d.Accept(m)
			}
			c, ok := d.Client("c")
			require.True(t, ok)
			require.Same(t, second, c)
			d.Accept(gone(second))
			require.Zero(t, d.Clients().Len())
		})
	}
}

func TestASessionThatWasReplacedDoesNotTakeTheNewOneAlong(t *testing.T) {
	d := cm.NewDirectory(nil)
	a := &cast.SessionOpened{ClientID: "c", Session: new(cell.Cell)}
	b := &cast.SessionOpened{ClientID: "c", Session: new(cell.Cell)}
	d.Accept(a)
	d.Accept(b)
	d.Accept(&cast.SessionEnded{ClientID: "c", Session: a.Session})
	s, ok := d.Session("c")
	require.True(t, ok)
	require.Same(t, b, s)
	d.Accept(&cast.SessionEnded{ClientID: "c", Session: b.Session})
	require.Zero(t, d.Sessions().Len())
}

func TestASnapshotStandsStillWhileTheTableGoesOn(t *testing.T) {
	d := cm.NewDirectory(nil)
	for i := range 1000 {
		d.Accept(client(fmt.Sprintf("c%04d", i), 1))
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			s := d.Clients()
			for i := range s.Len() {
				_ = s.At(i).ClientID
			}
		})
	}
	s := d.Clients()
	for i := range 500 {
		c, _ := d.Client(fmt.Sprintf("c%04d", i))
		d.Accept(gone(c))
		d.Accept(client(fmt.Sprintf("d%04d", i), 1))
	}
	wg.Wait()
	require.Equal(t, 1000, s.Len())
	i := 0
	for c := range s.All {
		require.Equal(t, fmt.Sprintf("c%04d", i), c.ClientID)
		require.Same(t, c, s.At(i))
		i++
	}
	require.Equal(t, 1000, i)
}

func TestTheWatcherSeesEveryChangeBehindItsEffect(t *testing.T) {
	var d *cm.Directory
	var seen []int
	d = cm.NewDirectory(func(cell.Message) { seen = append(seen, d.Clients().Len()) })
	c := client("c", 1)
	d.Accept(c)
	d.Accept(gone(c))
	require.Equal(t, []int{1, 0}, seen)
}

func BenchmarkArriveAmongAHundredThousand(b *testing.B) {
	d := cm.NewDirectory(nil)
	for i := range 100_000 {
		d.Accept(client(fmt.Sprintf("c%06d", i), 1))
	}
	c := client("c050000x", 1)
	g := gone(c)
	b.ResetTimer()
	for range b.N {
		d.Accept(c)
		d.Accept(g)
	}
}

// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"fmt"
	"time"

	"emqttd/protocol/packet"
	"emqttd/protocol/serializer"
)

// idler connects and does nothing.
type idler struct{ r *run }

func (i *idler) connected(*conn)                              { i.r.opened++; i.r.made++ }
func (i *idler) published(*conn, *publish)                    { i.r.tally.Foreign++ }
func (i *idler) acked(_ *conn, _ uint16, _ packet.ReasonCode) { i.r.tally.Refused++ }
func (i *idler) subscribed(*conn, []byte)                     {}
func (i *idler) closed(_ *conn, err error)                    { i.r.end(err) }

// playIdle opens connections, keeps them for Duration and says what they hold.
func (r *run) playIdle() error {
	if err := enoughDescriptors(r.Connections); err != nil {
		return err
	}
	r.counts(&r.made, "connections")
	as := &idler{r}
	for i := range r.Connections {
		if _, err := r.client(as, fmt.Sprintf("%s-i%d", r.prefix, i), true, 0); err != nil {
			return err
		}
	}
	memory := r.memory()
	begin := r.mark()
	if err := r.open(); err != nil {
		return err
	}
	end := r.mark()
	r.result.measure(begin, end)
	err := r.elapse("waiting", r.Duration)
	if r.PID != 0 {
		still := r.mark()
		r.result.extra("bytes_per_connection", float64(r.memory()-memory)/float64(r.Connections))
		r.result.extra("idle_cpu_ms_per_second", (still.broker-end.broker).Seconds()*1e3/(float64(still.at-end.at)/1e9))
	}
	return err
}

// churner connects, disconnects and begins again.
type churner struct {
	r    *run
	c    *conn
	bye  []byte
	said bool // DISCONNECT is out: the end is no fault
}

func (h *churner) published(*conn, *publish)                    { h.r.tally.Foreign++ }
func (h *churner) acked(_ *conn, _ uint16, _ packet.ReasonCode) { h.r.tally.Refused++ }
func (h *churner) subscribed(*conn, []byte)                     {}

func (h *churner) connected(c *conn) {
	h.said = true
	c.send(h.bye)
}

func (h *churner) closed(_ *conn, err error) {
	if !h.said {
		h.r.end(err)
		return
	}
	h.said = false
	h.r.made++
	if h.r.sending {
		h.again()
	}
}

// again dials. The broker closes first and so keeps the pair of ports for a
// while; the next local address comes before they run out.
func (h *churner) again() {
	h.r.dialled++
	h.c.source = int(h.r.dialled/portsPerSource) + 1
	if err := h.r.driver.dial(h.c); err != nil && h.r.broken == nil {
		h.r.broken = err
	}
}

// playChurn keeps that many connects going.
func (r *run) playChurn() error {
	r.counts(&r.made, "connections")
	bye, err := serializer.Append(nil, &packet.Disconnect{}, r.Version)
	if err != nil {
		return err
	}
	r.sending, r.running = true, true
	for i := range r.Connections {
		h := &churner{r: r, bye: bye}
		if h.c, err = r.client(h, fmt.Sprintf("%s-c%d", r.prefix, i), true, 0); err != nil {
			return err
		}
		h.again()
	}
	if err := r.elapse("warming up", r.Warmup); err != nil {
		return err
	}
	begin := r.mark()
	err = r.elapse("measuring", r.Duration)
	r.result.measure(begin, r.mark())
	r.sending = false
	if err != nil {
		return err
	}
	return r.until("disconnecting", time.Minute, func() bool {
		for _, c := range r.conns {
			if c.state != idle {
				return false
			}
		}
		return true
	})
}

// memory is the broker's resident set in bytes, 0 if its process is not known.
func (r *run) memory() int64 {
	if r.PID == 0 {
		return 0
	}
	n, _ := processMemory(r.PID) // 0 once it is gone, which the connections notice
	return n
}

// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"fmt"

	"emqttd/protocol/packet"
)

// deaf subscribes to everything of the run and reads nothing from then on: a
// client that hangs. What a broker does with it is the broker's affair, and so
// is when it gives up; the others are to feel nothing.
type deaf struct{ r *run }

func (d *deaf) published(*conn, *publish)                    {} // in the read that had the SUBACK
func (d *deaf) acked(_ *conn, _ uint16, _ packet.ReasonCode) { d.r.tally.Refused++ }

func (d *deaf) connected(c *conn) {
	d.r.opened++
	if err := c.subscribe(1, d.r.QoS, d.r.prefix+"/#"); err != nil {
		d.r.broken = err
	}
}

func (d *deaf) subscribed(c *conn, codes []byte) {
	if len(codes) != 1 || int(codes[0]) != d.r.QoS {
		d.r.broken = fmt.Errorf("the filter of one that does not read was answered % x", codes)
		return
	}
	d.r.deafened++
	d.r.driver.mute(c)
}

func (d *deaf) closed(_ *conn, err error) {
	if d.r.running {
		d.r.result.extra("deaf_closed", d.r.result.Extra["deaf_closed"]+1)
		return
	}
	d.r.end(err)
}

// deafen opens the connections that do not read.
func (r *run) deafen() error {
	if r.Deaf == 0 {
		return nil
	}
	for i := range r.Deaf {
		if _, err := r.client(&deaf{r}, fmt.Sprintf("%s-d%d", r.prefix, i), true, 0); err != nil {
			return err
		}
	}
	if err := r.connect(r.conns[len(r.conns)-r.Deaf:]); err != nil {
		return err
	}
	return r.until("subscribing", r.Limit, func() bool { return r.deafened == r.Deaf })
}

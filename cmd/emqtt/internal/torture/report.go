// SPDX-License-Identifier: Apache-2.0

package torture

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"emqttd/protocol/packet"
)

// Report is how a run ended.
type Report struct {
	Seed    uint64        `json:"seed"`
	Rounds  int           `json:"rounds"`
	Took    time.Duration `json:"took"`
	Flushes uint64        `json:"disk_flushes"` // of the machine, by whomever
	QoS     [3]Line       `json:"qos"`          // 1 and 2
	// Retained topics that had lost what was acknowledged last, over all rounds.
	LostRetained int `json:"lost_retained"`
	// LostSessions counts sessions that were kept and not there after a restart.
	LostSessions int `json:"lost_sessions"`
	// Wills of connections that the kills ended, and how many never came. This is
	// told and not judged: few brokers keep wills over a restart.
	Wills        int `json:"wills"`
	WillsMissing int `json:"wills_missing"`
}

// Line is what became of the messages of one QoS. All but Acknowledged count
// deliveries, of which there is one to each subscriber; a further one is
// Duplicated.
type Line struct {
	Acknowledged int `json:"acknowledged"`
	Deliveries   int `json:"deliveries"`
	Lost         int `json:"lost"`
	Duplicated   int `json:"duplicated"`
	Reordered    int `json:"reordered"`
}

func (t *tally) report() *Report {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := &Report{LostRetained: t.lostRetained, LostSessions: t.lostSessions, Wills: t.wills, WillsMissing: t.willsMissing}
	for k := range t.ackedBy {
		r.QoS[k.qos].Acknowledged++
	}
	for _, got := range t.got {
		for qos := packet.QoS1; qos <= packet.QoS2; qos++ {
			r.QoS[qos].Lost += t.lost(got, qos)
			r.QoS[qos].Reordered += got.late[qos]
		}
		for k, n := range got.count {
			r.QoS[k.qos].Deliveries++
			r.QoS[k.qos].Duplicated += n - 1
		}
	}
	return r
}

// Pass reports whether the broker kept what the standard promises: nothing
// acknowledged is lost, QoS 2 arrives once, order holds.
func (r *Report) Pass() bool {
	return r.QoS[1].Lost+r.QoS[2].Lost+r.QoS[2].Duplicated+r.QoS[1].Reordered+r.QoS[2].Reordered+r.LostRetained+r.LostSessions == 0
}

// Write writes it for people.
func (r *Report) Write(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprintln(t, "\tacknowledged\tdeliveries\tlost\tduplicated\treordered\t") // Flush tells
	for qos, note := range []string{1: "(allowed)", 2: ""} {
		if l := r.QoS[qos]; qos > 0 {
			_, _ = fmt.Fprintf(t, "QoS %d\t%d\t%d\t%d\t%d %s\t%d\t\n", qos, l.Acknowledged, l.Deliveries, l.Lost, l.Duplicated, note, l.Reordered)
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	verdict := "FAIL"
	if r.Pass() {
		verdict = "PASS"
	}
	_, err := fmt.Fprintf(w, "retained lost: %d  sessions lost: %d  wills missing: %d of %d\n%d kills in %s, %d flushes of the machine's disks, seed %d\n%s\n",
		r.LostRetained, r.LostSessions, r.WillsMissing, r.Wills, r.Rounds, r.Took.Round(time.Millisecond), r.Flushes, r.Seed, verdict)
	return err
}

// SPDX-License-Identifier: Apache-2.0

package protocol

import (
	"sync"
	"time"

	"emqttd/actors/access"
	"emqttd/actors/cast"
	"emqttd/supervisor/cell"
	"emqttd/supervisor/mailbox"
)

// Poisonings counts whose packets crash actors and bans those that do it again
// and again. It is shared by all gates (cell.Acceptor for *poisoning).
type Poisonings struct {
	Bans *access.Bans
	// Banned is told of each ban, on an event loop: it must not wait. Nil: nobody is.
	Banned func(access.Ban)

	mu   sync.Mutex
	seen map[string][]int64 // times within the window, by client id; len <= maxPoisonings
}

// maxPoisonings bounds the client ids remembered; beyond it new ones are not
// counted until the window has emptied the table.
const maxPoisonings = 10_000

type poisoning struct {
	mailbox.Link
	clientID string
	at       int64
	limits   *cast.Limits
}

// Accept implements cell.Acceptor.
func (p *Poisonings) Accept(m cell.Message) {
	x := m.(*poisoning)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.seen == nil {
		p.seen = map[string][]int64{}
	}
	oldest := x.at - int64(x.limits.PoisonWindow)
	if len(p.seen) >= maxPoisonings {
		for id, times := range p.seen {
			if times[len(times)-1] < oldest {
				delete(p.seen, id)
			}
		}
		if len(p.seen) >= maxPoisonings {
			return
		}
	}
	var times []int64
	for _, at := range p.seen[x.clientID] {
		if at >= oldest {
			times = append(times, at)
		}
	}
	times = append(times, x.at)
	p.seen[x.clientID] = times
	if len(times) < x.limits.PoisonCount {
		return
	}
	delete(p.seen, x.clientID)
	now := time.Unix(0, x.at)
	ban := access.Ban{Kind: access.BanClient, Value: x.clientID, At: now, Until: now.Add(x.limits.PoisonBan),
		By: "poison", Reason: "its packets crashed actors"}
	// A full list of bans is the operator's: this client then goes unbanned.
	if p.Bans.Add(now, ban) == nil && p.Banned != nil {
		p.Banned(ban)
	}
}

// poisoned counts a poisonous packet against the client id, if it has one.
func (st *stage) poisoned() {
	lim := st.env.Limits()
	if lim.PoisonCount > 0 && st.s.clientID != "" {
		st.x.Submit(st.gate.Poisonings, &poisoning{clientID: st.s.clientID, at: st.x.Now(), limits: lim})
	}
}

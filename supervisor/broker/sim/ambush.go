// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"math/rand/v2"
	"slices"
	"time"

	"emqttd/protocol/packet"
	"emqttd/supervisor/chaos"
)

// ambush waits for the moments at which a promise is easily broken: the disk is
// slow from the packet on that asks for the promise, and the broker is killed
// soon after the client has it. A promise that is given too early is then one
// that the disk does not keep. Chance alone seldom brings both together.
type ambush struct {
	left  int // kills, still to come
	rng   *rand.Rand
	odds  int         // one in so many promises is waited for
	only  packet.Type // answer that alone is waited for; 0: any
	until int         // the act up to which the disk is slow
	at    int         // the act at which the broker is killed; 0: none is chosen
	lull  int         // steps up to the one at which time passes, with who was lost still away; 0: it does not
}

const (
	mostAmbushes = 3
	longestHold  = 200 // acts
	shortestLull = 3 * time.Second
	longestLull  = 12 * time.Second
)

// drawAmbush lies in wait in two of three runs, half of the time for one kind of
// promise alone: of what is rare.
func drawAmbush(rng *rand.Rand) ambush {
	a := ambush{rng: rng}
	if rng.IntN(3) > 0 {
		a.left, a.odds = 1+rng.IntN(mostAmbushes), 1+rng.IntN(6)
		a.only = [...]packet.Type{0, 0, 0, packet.DISCONNECT, packet.DISCONNECT, packet.PUBREC}[rng.IntN(6)]
	}
	return a
}

// busier lets clients do more often what is waited for.
func (a *ambush) busier(o chaos.Odds) chaos.Odds {
	switch {
	case a.left == 0:
	case a.only == packet.DISCONNECT:
		o.Leave, o.Return = max(o.Leave, 20), max(o.Return, 20)
	case a.only == packet.PUBREC:
		o.Repeat = 30
	}
	return o
}

// asked is told what a client sends: it reports the answer that is waited for.
func (w *world) asked(l *line, p packet.Packet) (answer packet.Type) {
	a := &w.ambush
	if c, ok := p.(*packet.Connect); ok {
		l.will = c.Will != nil
	}
	if a.left == 0 || a.at > 0 || w.calm || w.note == nil {
		return 0
	}
	often := 1 // of what is rare, each is waited for
	switch p := p.(type) {
	case *packet.Disconnect:
		answer = packet.DISCONNECT
		if !l.will {
			often = a.odds
		}
	case *packet.Publish:
		switch {
		case p.QoS == packet.QoS1:
			answer, often = packet.PUBACK, 2*a.odds
		case p.QoS == packet.QoS2:
			answer = packet.PUBREC
			if !p.Dup {
				often = 2 * a.odds
				if a.rng.IntN(2) == 0 { // a repetition may follow
					a.until = max(a.until, w.acts+a.rng.IntN(longestHold))
				}
			}
		default:
			return 0
		}
	case *packet.Ack:
		if p.Kind != packet.PUBREL {
			return 0
		}
		answer, often = packet.PUBCOMP, 2*a.odds
	case *packet.Subscribe:
		answer, often = packet.SUBACK, 2*a.odds
	case *packet.Unsubscribe:
		answer, often = packet.UNSUBACK, a.odds
	}
	if a.only != 0 && (answer != a.only || often > 1) || answer == 0 || a.rng.IntN(often) > 0 {
		return 0
	}
	a.until = w.acts + a.rng.IntN(longestHold)
	return answer
}

// promised is told that a client has an answer that was waited for; or, with
// DISCONNECT, that the broker has closed.
func (w *world) promised() {
	a := &w.ambush
	if a.left == 0 || a.at > 0 || w.calm {
		return
	}
	a.at = w.acts + 1 + a.rng.IntN(1<<a.rng.IntN(7))
}

// sprung reports whether the moment has come.
func (w *world) sprung() bool {
	a := &w.ambush
	if a.at == 0 || w.acts < a.at || w.calm {
		return false
	}
	a.left, a.at, a.until = a.left-1, 0, 0
	if a.only == packet.DISCONNECT || a.rng.IntN(2) == 0 {
		a.lull = 1 + a.rng.IntN(8)
	}
	return true
}

// held reports whether the disk takes its time.
func (w *world) held() bool { return w.acts < w.ambush.until && !w.calm }

// rest lets the time pass that a client may be away for before the broker takes
// it for dead.
func (w *world) rest() {
	a := &w.ambush
	if a.lull == 0 {
		return
	}
	if a.lull--; a.lull > 0 {
		return
	}
	if slices.ContainsFunc(w.lines, (*line).unnoticed) {
		a.lull = 1
		return
	}
	deadline := w.now + int64(shortestLull) + w.rng.Int64N(int64(longestLull-shortestLull))
	for w.now < deadline {
		if !w.act(deadline) {
			w.pass(deadline)
		}
	}
}

// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"math/rand/v2"
	"slices"
	"time"

	"emqttd/protocol/packet"
)

// ambush waits for the moments at which a promise is easily broken: the disk is
// slow from the packet on that asks for the promise, and the broker is killed
// soon after the client has it. A promise that is given too early is then one
// that the disk does not keep. Chance alone seldom brings both together.
type ambush struct {
	left  int // kills, still to come
	rng   *rand.Rand
	odds  int // one in so many promises is waited for
	until int // the act up to which the disk is slow
	at    int // the act at which the broker is killed; 0: none is chosen
	lull  int // steps up to the one at which time passes, with who was lost still away; 0: it does not
}

const (
	mostAmbushes = 3
	longestHold  = 200 // acts
	longestLull  = 9 * time.Second
)

// drawAmbush lies in wait in half of the runs.
func drawAmbush(rng *rand.Rand) ambush {
	a := ambush{rng: rng}
	if rng.IntN(2) == 0 {
		a.left, a.odds = 1+rng.IntN(mostAmbushes), 1+rng.IntN(6)
	}
	return a
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
			answer, often = packet.PUBACK, 8*a.odds
		case p.QoS == packet.QoS2:
			answer = packet.PUBREC
			if !p.Dup {
				often = 8 * a.odds
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
		answer, often = packet.PUBCOMP, 8*a.odds
	case *packet.Subscribe:
		answer, often = packet.SUBACK, 4*a.odds
	case *packet.Unsubscribe:
		answer, often = packet.UNSUBACK, a.odds
	}
	if answer == 0 || a.rng.IntN(often) > 0 {
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
	if a.rng.IntN(2) == 0 {
		a.lull = 1 + a.rng.IntN(12)
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
	deadline := w.now + w.rng.Int64N(int64(longestLull))
	for w.now < deadline {
		if !w.act(deadline) {
			w.pass(deadline)
		}
	}
}

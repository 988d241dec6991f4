// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"time"

	"emqttd/protocol/packet"
)

// Plan is a workload: clients that publish, subscribe, come and go as chance
// wants. The zero value is a small one.
type Plan struct {
	// Seed decides every choice; 0: any, and the report shows it. What the network
	// and the broker's scheduling do it cannot repeat.
	Seed uint64
	// Steps is how many things are done; 0: 500.
	Steps int
	// Clients is how many clients there are beside the witness, which subscribes to
	// everything and stays; 0: 6.
	Clients int
	// Versions are dealt to the clients in turn; nil: 3.1.1 and 5.0.
	Versions []packet.Version
	// Odds are how often each thing is done; the zero value is DefaultOdds.
	Odds Odds
	// WillDelay is the longest will delay, in seconds. A run takes that much longer
	// at its end; 0: wills without delay only.
	WillDelay int
	// Durable makes every session outlive its connection.
	Durable bool
	// Window is how many publishes of a client may be unanswered; 0: 8.
	Window int
	// Hasty clients at times do not wait for CONNACK before they go on, so that
	// CONNECTs of one client identifier overlap. It asks for a World in which an
	// older connection of a client is read before a newer one.
	Hasty bool
	// Shared clients at times share a subscription to the live topics.
	Shared bool
	// Team clients share one from the beginning, and seldom have one of their own:
	// who of them got what then shows.
	Team bool
	// Payload is the size of a message in bytes, about; 0: what its number needs.
	Payload int
	// Memory reports whether the broker keeps in memory alone, for a while, what a
	// client publishes to a topic, or, topic "", its session. nil: nothing.
	Memory func(client, topic string) bool
	// Pace is the least time from one step to the next.
	Pace time.Duration
	// Blame are globs of client identifiers whose connections the injected faults
	// may cost.
	Blame []string
	// Each, if not nil, is called before every step, on the goroutine of Run; note
	// records what it does to clients (Kicked, Blamed, Restarted).
	Each func(step int, note func(Event))

	Timeout time.Duration // of one answer, and of the end; 0: 10 s
	Slack   time.Duration // see Check; 0: DefaultSlack
	Now     func() int64  // the run's clock, nanoseconds since the Unix epoch; nil: the machine's
	// Prefix begins every client identifier and topic; "": made from the seed, so
	// that runs can share a broker.
	Prefix string
}

// Odds are relative frequencies of what a client does.
type Odds struct {
	Publish     int // to a topic that several share, any QoS
	Retain      int // to a topic of its own, retained, now and then empty
	Subscribe   int
	Unsubscribe int
	Drop        int // the connection is lost
	Leave       int // DISCONNECT, in 5.0 also with the will or a new expiry
	Return      int // a lost client connects again
	Takeover    int // a second connection while the first is there
	Repeat      int // a QoS 2 PUBLISH, before 5.0 sent twice on one connection [v3.1.1 4.4]
	Vanish      int // the connection is lost at the next QoS 2 message, before PUBREC
}

// DefaultOdds are those of Plan.
var DefaultOdds = Odds{Publish: 60, Retain: 8, Subscribe: 10, Unsubscribe: 3, Drop: 4, Leave: 3, Return: 14, Takeover: 4, Repeat: 2, Vanish: 1}

func (p Plan) withDefaults() Plan {
	if p.Seed == 0 {
		p.Seed = rand.Uint64()>>1 + 1
	}
	p.Steps, p.Clients, p.Window = cmp.Or(p.Steps, 500), cmp.Or(p.Clients, 6), cmp.Or(p.Window, 8)
	if len(p.Versions) == 0 {
		p.Versions = []packet.Version{packet.V311, packet.V5}
	}
	p.Odds = cmp.Or(p.Odds, DefaultOdds)
	p.Timeout, p.Slack = cmp.Or(p.Timeout, 10*time.Second), cmp.Or(p.Slack, DefaultSlack)
	p.Prefix = cmp.Or(p.Prefix, fmt.Sprintf("chaos-%x", p.Seed&0xFFFFFF))
	if p.Memory == nil {
		p.Memory = func(string, string) bool { return false }
	}
	if p.Now == nil {
		p.Now = func() int64 { return time.Now().UnixNano() }
	}
	return p
}

// choose draws one of the things to do.
func (o Odds) choose(r *rand.Rand) op {
	weights := [...]int{o.Publish, o.Retain, o.Subscribe, o.Unsubscribe, o.Drop, o.Leave, o.Return, o.Takeover, o.Repeat, o.Vanish}
	sum := 0
	for _, w := range weights {
		sum += w
	}
	n := r.IntN(max(1, sum))
	for i, w := range weights {
		if n -= w; n < 0 {
			return op(i)
		}
	}
	return opPublish
}

type op uint8

const (
	opPublish op = iota
	opRetain
	opSubscribe
	opUnsubscribe
	opDrop
	opLeave
	opReturn
	opTakeover
	opRepeat
	opVanish
)

// Topics of a run, below the prefix.
const (
	sharedTopics = 4 // live/0 ... live/3
)

func (p Plan) live(n int) string              { return fmt.Sprintf("%s/live/%d", p.Prefix, n) }
func (p Plan) own(kind, client string) string { return p.Prefix + "/" + kind + "/" + client }

// team is the shared subscription.
func (p Plan) team() string { return "$share/group/" + p.Prefix + "/live/+" }

// filter draws a topic filter: one of the shared topics, all of them, the
// retained ones or the wills.
func (p Plan) filter(r *rand.Rand, client string) string {
	if p.Team && r.IntN(8) > 0 {
		return p.team()
	}
	switch r.IntN(8) {
	case 0:
		return p.Prefix + "/live/+"
	case 1:
		return p.Prefix + "/kept/+"
	case 2:
		return p.Prefix + "/will/#"
	case 3:
		return p.own("kept", client)
	case 4:
		if p.Shared {
			return p.team()
		}
	}
	return p.live(r.IntN(sharedTopics))
}

// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// pair is how most stories begin: b has subscribed to t with QoS 2, a publishes.
const pair = `
	open b1 clean
	ok b1
	sub b1 r1 t q2
	suback b1 r1 0x02
	open a2 clean
	ok a2
`

// durable is pair with a session that is kept.
const durable = `
	open b1 never
	ok b1
	sub b1 r1 t q2
	suback b1 r1 0x02
	open a2 clean
	ok a2
`

// members is two members of a shared subscription and a publisher.
const members = `
	open a1 clean
	ok a1
	sub a1 r1 $share/g/t q2
	suback a1 r1 0x02
	open b2 clean
	ok b2
	sub b2 r2 $share/g/t q2
	suback b2 r2 0x02
	open c3 clean
	ok c3
`

// mourned is a will that is pending in a restart, whose grace begins; again is a
// second kill, whose grace the client is back in.
const (
	mourned = `
		open b1 never
		ok b1
		sub b1 r1 t q2
		suback b1 r1 0x02
		open w3 never will=9,t,q2
		ok w3
		restart
		close w3 server
		close b1 server
		open b4 never
		ok b4 present
`
	again = `
		restart
		close b4 server
		open w5 never
		ok w5 present
		open b6 never
		ok b6 present
		wait 60s
		settle`
)

// round is a message of a group that is published twice and goes round between two
// members that leave: three times to a.
const round = `
	open a1 never
	ok a1
	sub a1 r1 $share/g/t q1
	suback a1 r1 0x01
	open b2 never
	ok b2
	sub b2 r2 $share/g/t q1
	suback b2 r2 0x01
	open c3 never
	ok c3
	pub c3 m1 t q1
	get a1 m1 t q1
	close c3 client
	close a1 client
	get b2 m1 t q1
	open a4 never
	ok a4 present
	close b2 client
	get a4 m1 t q1
	open c5 never
	ok c5 present
	pub c5 m1 t q1 dup
	get a4 m1 t q1
`

// unheard is QoS 2 of a2 that is sent again behind a kill, and behind a CONNECT of
// which nothing was heard.
const unheard = `
	ok a2
	pub a2 m1 t q2
	get b1 m1 t q2
	open a3 never
	restart
	close a2 server
	close a3 server
	wait 10s
	open a4 never
	ok a4 present
	pub a4 m1 t q2 dup
	get b1 m1 t q2
	ack a4 m1
	settle`

var kept = []struct{ name, text string }{
	{"a shared message goes to one member each", members + `
		pub c3 m1 t q2
		ack c3 m1
		get a1 m1 t q2
		pub c3 m2 t q1
		ack c3 m2
		get a1 m2 t q1
		get b2 m2 t q1 dup
		settle`},
	{"QoS 2 sent again by a CONNECT that overtook one without expiry is new to its session", members + `
		close c3 client
		open c4 never
		ok c4
		pub c4 m1 t q2
		open c5
		open c6 never
		ok c6 present
		close c4 server 0x8E
		close c5 server
		get a1 m1 t q2
		pub c6 m1 t q2 dup
		get b2 m1 t q2
		ack c6 m1
		settle`},
	{"QoS 2 sent again to a session that a CONNECT unheard of has begun is new to it", `
		open b1 clean
		ok b1
		sub b1 r1 t q2
		suback b1 r1 0x02
		open a2` + unheard},
	{"what a member leaves undone is its client's again when that joins anew", `
		open a1 clean
		ok a1
		sub a1 r1 $share/g/t q1
		suback a1 r1 0x01
		open c3 clean
		ok c3
		pub c3 m1 t q1
		ack c3 m1
		get a1 m1 t q1
		close a1 client
		open a2 clean
		ok a2
		sub a2 r2 $share/g/t q1
		suback a2 r2 0x01
		get a2 m1 t q1
		settle`},
	{"what goes round between members that leave comes back to a session that is kept, each publication of it", round + `
		ack c5 m1
		settle`},
	{"a shared message comes behind a later one of a subscription made in between", members + `
		pub c3 m1 t q1
		ack c3 m1
		sub a1 r3 t q1
		suback a1 r3 0x01
		pub c3 m2 t q1
		ack c3 m2
		get a1 m2 t q1
		get a1 m1 t q1
		settle`},
	{"CONNECTs that overlap are taken in any order", `
		open a1 never
		open a2 never
		ok a2
		close a2 server 0x8E
		ok a1 present
		settle`},
	{"the session is the one's that was opened first and came last", `
		open a1 expiry=0
		open a2 never
		ok a1 present
		ok a2 present
		close a2 server 0x8E
		open a3 never
		close a1 server 0x8E
		ok a3
		settle`},
	{"a will is on no disk half a second behind the grace", mourned + "wait 5500ms" + again},
	{"a clean start whose store failed behind it", "blame a\nopen a1 never\nok a1\nclose a1 client\nopen a2 clean\nrefuse a2 0x88\nrestart\nopen a3 never\nok a3\nsettle"},
	{"the connection of a broker that was killed", "open a1 never\nok a1\nrestart\nclose a1 server\nopen a2 never\nok a2 present\nsettle"},
	{"QoS 1 that was read behind a kill, and was not durable, comes again without DUP", durable + `
		pub a2 m1 t q1
		restart
		get b1 m1 t q1
		close b1 server
		close a2 server
		open b3 never
		ok b3 present
		get b3 m1 t q1
		settle`},
	{"QoS 1 that was not durable comes again without DUP", pair + `
		pub a2 m1 t q1
		get b1 m1 t q1
		restart
		close a2 server
		close b1 server
		open b3 clean
		ok b3
		settle`},
	{"what was in memory when the broker was killed", `
		open a1 memory never
		ok a1
		sub a1 r1 t q2
		suback a1 r1 0x02
		open b2 never
		ok b2
		pub b2 m1 t q1 memory
		ack b2 m1
		pub b2 m2 k q1 retain memory
		ack b2 m2
		restart
		close a1 server
		close b2 server
		open a3 memory never
		ok a3
		open b4 never
		ok b4 present
		sub b4 r2 k q1
		suback b4 r2 0x01
		settle`},
	{"a session in memory as it was some time before the broker was killed", `
		open a1 memory never
		ok a1
		sub a1 r1 t q2
		suback a1 r1 0x02
		unsub a1 r2 t q2
		unsuback a1 r2
		pub a1 m1 t q2 memory
		ack a1 m1
		restart
		close a1 server
		open a2 memory never
		ok a2 present
		get a2 m1 t q2
		settle`},
	{"a retained QoS 1 that was not durable comes again, by another subscription", `
		open a1 never
		ok a1
		pub a1 m1 k q2 retain
		ack a1 m1
		sub a1 r1 k q1
		suback a1 r1 0x01
		get a1 m1 k q1 retain
		restart
		close a1 server
		open a2 never
		ok a2 present
		get a2 m1 k q2 retain
		settle`},
	{"a message of each QoS", pair + `
		pub a2 m1 t q0
		get b1 m1 t q0
		pub a2 m2 t q1
		ack a2 m2
		get b1 m2 t q1
		pub a2 m3 t q2
		get b1 m3 t q2
		ack a2 m3
		settle`},
	{"a QoS 0 message is lost", pair + "pub a2 m1 t q0\nsettle"},
	{"QoS 1 comes again with DUP", pair + "pub a2 m1 t q1\nack a2 m1\nget b1 m1 t q1\nget b1 m1 t q1 dup\nsettle"},
	{"QoS 1 was sent twice and comes twice", pair + `
		pub a2 m1 t q1
		close a2 client
		open a3 never
		ok a3
		pub a3 m1 t q1 dup
		ack a3 m1
		get b1 m1 t q1
		get b1 m1 t q1
		settle`},
	{"overlapping filters give a copy each", pair + `
		sub b1 r2 # q2
		suback b1 r2 0x02
		pub a2 m1 t q2
		ack a2 m1
		get b1 m1 t q2
		get b1 m1 t q2
		settle`},
	{"an abandoned message comes late", pair + `
		pub a2 m1 t q1
		close a2 client
		open a3 clean
		ok a3
		pub a3 m2 t q1
		ack a3 m2
		get b1 m2 t q1
		get b1 m1 t q1
		settle`},
	{"a refused message goes nowhere", pair + "pub a2 m1 t q1\nack a2 m1 0x83\nsettle"},
	{"two publishers have no order", pair + `
		open c3 clean
		ok c3
		pub a2 m1 t q1
		pub c3 m2 t q1
		ack a2 m1
		ack c3 m2
		get b1 m2 t q1
		get b1 m1 t q1
		settle`},
	{"what was sent again comes behind, for a subscription made in between", `
		open a1 never
		ok a1
		pub a1 m1 t q1
		open b2 clean
		ok b2
		sub b2 r1 t q1
		suback b2 r1 0x01
		pub a1 m2 t q1
		get b2 m2 t q1
		close a1 client
		open a3 never
		ok a3 present
		pub a3 m1 t q1 dup
		pub a3 m2 t q1 dup
		get b2 m1 t q1
		get b2 m2 t q1
		ack a3 m1
		ack a3 m2
		settle`},
	{"QoS 2 overtaken by a retained QoS 1", `
		open a1 clean
		ok a1
		pub a1 m1 t q2 retain
		pub a1 m2 t q1 retain
		ack a1 m2
		ack a1 m1
		sub a1 r1 t q1
		suback a1 r1 0x01
		get a1 m1 t q1 retain
		settle`},
	{"the rest of a run comes again behind a reconnect", `
		open b1 never
		ok b1
		sub b1 r1 t q1
		suback b1 r1 0x01
		open a2 clean
		ok a2
		pub a2 m1 t q1
		pub a2 m2 t q1
		ack a2 m1
		ack a2 m2
		get b1 m1 t q1
		close b1 client
		open b3 never
		ok b3 present
		get b3 m1 t q1 dup
		get b3 m2 t q1 dup
		settle`},
	{"a message for a session that has ended", pair + `
		close b1 client
		pub a2 m1 t q1
		ack a2 m1
		open b3 clean
		ok b3
		settle`},
	{"after UNSUBACK nothing comes", pair + "unsub b1 r2 t\nunsuback b1 r2\npub a2 m1 t q1\nack a2 m1\nsettle"},
	{"what was on its way comes after UNSUBACK", pair + "pub a2 m1 t q1\nack a2 m1\nunsub b1 r2 t\nunsuback b1 r2\nget b1 m1 t q1\nsettle"},
	{"a takeover", `
		open a1 never
		ok a1
		open a2 never
		ok a2 present
		close a1 server 0x8E
		settle`},
	{"a session whose expiry is over", "open a1 expiry=2\nok a1\nclose a1 client\nwait 3s\nopen a2 expiry=2\nok a2\nsettle"},
	{"a session whose expiry is not over", "open a1 expiry=5\nok a1\nclose a1 client\nwait 2s\nopen a2 expiry=2\nok a2 present\nsettle"},
	{"expiry on the edge, forgotten", "open a1 expiry=2\nok a1\nclose a1 client\nwait 2s\nopen a2 expiry=2\nok a2\nsettle"},
	{"expiry on the edge, kept", "open a1 expiry=2\nok a1\nclose a1 client\nwait 2s\nopen a2 expiry=2\nok a2 present\nsettle"},
	{"the server shortens the expiry", "open a1 never\nok a1 expiry=1\nclose a1 client\nwait 2s\nopen a2 never\nok a2\nsettle"},
	{"DISCONNECT ends the session", "open a1 never\nok a1\nbye a1 expiry=0\nclose a1 server\nopen a2 never\nok a2\nsettle"},
	{"a CONNECT of which nothing was heard", "open a1 never\nblame a\nclose a1 server\nopen a2 never\nok a2 present\nsettle"},
	{"a kick", "open a1 never\nok a1\nkick a\nclose a1 server 0x98\nsettle"},
	{"a restart", "open a1 never\nok a1\nrestart\nclose a1 server\nopen a2 never\nok a2 present\nsettle"},
	{"a blamed client is refused", "blame a\nopen a1 clean\nrefuse a1 0x83\nsettle"},
	{"retained and replaced", `
		open a1 clean
		ok a1
		pub a1 m1 t q1 retain
		ack a1 m1
		pub a1 m2 t q1 retain
		open b2 clean
		ok b2
		sub b2 r1 t q1
		suback b2 r1 0x01
		ack a1 m2
		get b2 m2 t q1 retain
		settle`},
	{"retained while it is being replaced", `
		open a1 clean
		ok a1
		pub a1 m1 t q1 retain
		ack a1 m1
		pub a1 m2 t q1 retain
		open b2 clean
		ok b2
		sub b2 r1 t q1
		suback b2 r1 0x01
		get b2 m1 t q1 retain
		get b2 m2 t q1
		ack a1 m2
		settle`},
	{"a retained message that was cleared", `
		open a1 clean
		ok a1
		pub a1 m1 t q1 retain
		ack a1 m1
		pub a1 m2 t q1 retain empty
		ack a1 m2
		open b2 clean
		ok b2
		sub b2 r1 t q1
		suback b2 r1 0x01
		settle`},
	{"retained is not wanted", `
		open a1 clean
		ok a1
		pub a1 m1 t q1 retain
		ack a1 m1
		sub a1 r1 t q1 rh=2
		suback a1 r1 0x01
		settle`},
	{"a will after a loss", mourner + "close a2 client\nget b1 m9 w q1\nwait 1s\nsettle"},
	{"a will after 0x04", mourner + "bye a2 0x04\nclose a2 server\nget b1 m9 w q1\nwait 1s\nsettle"},
	{"a will after a takeover without delay", mourner + "open a3 never\nget b1 m9 w q1\nok a3 present\nclose a2 server 0x8E\nwait 1s\nsettle"},
	{"a will after a takeover that the broker did not survive", mourner + "open a3 never\nget b1 m9 w q1\nclose a2 server\nrestart\nrefuse a3 0x88\nwait 9s\nsettle"},
	{"no will after a goodbye", mourner + "bye a2\nclose a2 server\nwait 1s\nsettle"},
	{"a goodbye that was perhaps not read", mourner + "bye a2\nclose a2 client\nget b1 m9 w q1\nwait 1s\nsettle"},
	{"a will after its delay", late + "close a2 client\nwait 3s\nget b1 m9 w q1\nwait 1s\nsettle"},
	{"no will within its delay", late + "close a2 client\nwait 1s\nopen a3 never\nok a3 present\nwait 9s\nsettle"},
	{"no will when a delayed one is taken over", late + "open a3 never\nok a3 present\nclose a2 server\nwait 9s\nsettle"},
	{"a will at once when a clean start ends the session", late + "close a2 client\nwait 1s\nopen a3 clean\nok a3\nget b1 m9 w q1\nwait 1s\nsettle"},
	{"a will is too late for the end of the run", late + "close a2 client\nwait 1s\nsettle"},
}

// mourner is b listening to the will of a; late is the same with a delay of 3 s.
const (
	mourner = "open b1 clean\nok b1\nsub b1 r1 w q1\nsuback b1 r1 0x01\nopen a2 never will=9,w,q1\nok a2\n"
	late    = "open b1 clean\nok b1\nsub b1 r1 w q1\nsuback b1 r1 0x01\nopen a2 never will=9,w,q1,3\nok a2\n"
)

var broken = []struct {
	name   string
	clause Clause
	text   string
	says   string
}{
	{"QoS 2 that was read behind a kill comes again to the session that was kept", ClauseOnce, durable + `
		pub a2 m1 t q2
		ack a2 m1
		restart
		get b1 m1 t q2
		close b1 server
		close a2 server
		open b3 never
		ok b3 present
		get b3 m1 t q2
		settle`, "b received m1 of a 2 times, QoS 2"},
	{"QoS 1 that was read behind a kill comes twice more without DUP", ClauseOnce, durable + `
		pub a2 m1 t q1
		restart
		get b1 m1 t q1
		close b1 server
		close a2 server
		open b3 never
		ok b3 present
		get b3 m1 t q1
		get b3 m1 t q1
		settle`, "b received m1 of a 3 times, QoS 1"},
	{"what is retained with QoS 2 was read behind a kill and comes again unasked", ClauseOnce, durable + `
		pub a2 m1 t q2 retain
		ack a2 m1
		restart
		get b1 m1 t q2 retain
		close b1 server
		close a2 server
		open b3 never
		ok b3 present
		get b3 m1 t q2 retain
		settle`, "b received the retained m1 2 times for 1 subscriptions"},
	{"what was read behind a kill is not what was lost by it", ClauseLost, durable + `
		pub a2 m1 t q2
		ack a2 m1
		pub a2 m2 t q2
		ack a2 m2
		restart
		get b1 m1 t q2
		close b1 server
		close a2 server
		open b3 never
		ok b3 present
		settle`, "m2 of a, acknowledged, never reached b"},
	{"QoS 2 sent again to a session that a CONNECT unheard of has left as it was", ClauseOnce, `
		open b1 clean
		ok b1
		sub b1 r1 t q2
		suback b1 r1 0x02
		open a2 never` + unheard, "b received m1 of a 2 times, QoS 2"},
	{"a publication that went round comes twice on one connection", ClauseOnce, round + `
		get a4 m1 t q1
		ack c5 m1
		settle`, "a received m1 of c 4 times, QoS 1"},
	{"a message published once comes twice to a member that stays", ClauseOnce, `
		open a1 never
		ok a1
		sub a1 r1 $share/g/t q1
		suback a1 r1 0x01
		open c2 never
		ok c2
		pub c2 m1 t q1
		ack c2 m1
		get a1 m1 t q1
		get a1 m1 t q1
		settle`, "a received m1 of c 2 times, QoS 1"},
	{"QoS 2 comes again to a client that has joined its group anew", ClauseOnce, members + `
		pub c3 m1 t q2
		ack c3 m1
		get a1 m1 t q2
		close a1 client
		open a4 clean
		ok a4
		sub a4 r3 $share/g/t q2
		suback a4 r3 0x02
		get a4 m1 t q2
		settle`, "a received m1 of c 2 times, QoS 2"},
	{"QoS 2 reaches two members of a group", ClauseOnce, members + `
		pub c3 m1 t q2
		ack c3 m1
		get a1 m1 t q2
		get b2 m1 t q2
		settle`, "m1 of c, QoS 2, reached a and b, which share $share/g/t"},
	{"a will goes to nobody after the grace of a restart", ClauseWill, pair + `
		open w3 never will=9,t,q2
		ok w3
		restart
		close w3 server
		wait 60s
		settle`, "the will m9 of w was not published"},
	{"a will is on no disk two seconds behind the grace", ClauseWill, mourned + "wait 7s" + again, "the will m9 of w was not published"},
	{"an acknowledged message never arrives", ClauseLost, pair + `
		pub a2 m1 t q1
		ack a2 m1
		get b1 m1 t q1
		pub a2 m2 t q1
		ack a2 m2
		settle`, "m2 of a, acknowledged, never reached b"},
	{"a message is skipped", ClauseLost, pair + `
		pub a2 m1 t q1
		ack a2 m1
		get b1 m1 t q1
		pub a2 m2 t q1
		ack a2 m2
		pub a2 m3 t q1
		get b1 m3 t q1
		ack a2 m3
		close b1 client`, "m2 of a, acknowledged, never reached b"},
	{"a message is lost while the subscriber is away", ClauseLost, `
		open b1 never
		ok b1
		sub b1 r1 t q1
		suback b1 r1 0x01
		open a2 clean
		ok a2
		pub a2 m1 t q1
		get b1 m1 t q1
		ack a2 m1
		close b1 client
		pub a2 m2 t q1
		ack a2 m2
		open b3 never
		ok b3 present
		settle`, "m2 of a, acknowledged, never reached b"},
	{"QoS 2 arrives twice", ClauseOnce, pair + "pub a2 m1 t q2\nget b1 m1 t q2\nack a2 m1\nget b1 m1 t q2\nsettle", "b received m1 of a 2 times"},
	{"QoS 2 arrives again in the next session", ClauseOnce, pair + `
		pub a2 m1 t q2
		get b1 m1 t q2
		ack a2 m1
		close b1 client
		open b3 clean
		ok b3
		sub b3 r2 t q2
		suback b3 r2 0x02
		get b3 m1 t q2
		settle`, "b received m1 of a 2 times"},
	{"QoS 0 arrives twice", ClauseOnce, pair + "pub a2 m1 t q0\nget b1 m1 t q0\nget b1 m1 t q0\nsettle", "2 times"},
	{"QoS 1 comes again without DUP", ClauseOnce, pair + "pub a2 m1 t q1\nack a2 m1\nget b1 m1 t q1\nget b1 m1 t q1\nsettle", "2 times"},
	{"a refused message is delivered", ClauseOnce, pair + "pub a2 m1 t q2\nack a2 m1 0x83\nget b1 m1 t q2\nsettle", "refused with 0x83, reached b"},
	{"a retained message comes twice", ClauseOnce, `
		open a1 clean
		ok a1
		pub a1 m1 t q1 retain
		ack a1 m1
		sub a1 r1 t q1
		suback a1 r1 0x01
		get a1 m1 t q1 retain
		get a1 m1 t q1 retain
		settle`, "retained m1 2 times for 1"},
	{"the order of a member's own subscription is turned round", ClauseOrder, members + `
		sub a1 r3 t q1
		suback a1 r3 0x01
		pub c3 m1 t q1
		ack c3 m1
		pub c3 m2 t q1
		ack c3 m2
		get a1 m2 t q1
		get a1 m1 t q1
		settle`, "a received m1 behind m2"},
	{"order is turned round", ClauseOrder, pair + `
		pub a2 m1 t q1
		pub a2 m2 t q1
		ack a2 m1
		ack a2 m2
		get b1 m2 t q1
		get b1 m1 t q1
		settle`, "b received m1 behind m2"},
	{"an order that was acknowledged is turned round", ClauseOrder, pair + `
		pub a2 m1 t q1
		ack a2 m1
		close a2 client
		open a3 clean
		ok a3
		pub a3 m2 t q1
		ack a3 m2
		get b1 m2 t q1
		get b1 m1 t q1
		settle`, "b received m1 behind m2"},
	{"a death without will", ClauseWill, mourner + "close a2 client\nwait 2s\nsettle", "the will m9 of a was not published: its connection was lost"},
	{"0x04 without will", ClauseWill, mourner + "bye a2 0x04\nclose a2 server\nwait 2s\nsettle", "was not published"},
	{"a kick without will", ClauseWill, mourner + "kick a\nclose a2 server 0x98\nwait 2s\nsettle", "was not published"},
	{"a takeover without will", ClauseWill, mourner + "open a3 never\nok a3 present\nclose a2 server\nwait 2s\nsettle", "another connection took its place"},
	{"a clean start in the delay without will", ClauseWill, late + "close a2 client\nopen a3 clean\nok a3\nwait 9s\nsettle", "a clean start ended its session"},
	{"two wills", ClauseWill, mourner + "close a2 client\nget b1 m9 w q1\nget b1 m9 w q1\nwait 1s\nsettle", "b received m9 of a 2 times"},
	{"a will after a goodbye", ClauseWill, mourner + "bye a2\nclose a2 server\nget b1 m9 w q1\nsettle", "it said goodbye"},
	{"a will of the living", ClauseWill, mourner + "get b1 m9 w q1\nsettle", "it is connected"},
	{"a will before its delay", ClauseWill, late + "close a2 client\nwait 1s\nget b1 m9 w q1\nwait 9s\nsettle", "before its delay was over"},
	{"a will though the client is back", ClauseWill, late + "close a2 client\nwait 1s\nopen a3 never\nok a3 present\nwait 3s\nget b1 m9 w q1\nsettle", "it was back"},
	{"a delayed will is forgotten", ClauseWill, late + "close a2 client\nwait 9s\nsettle", "was not published"},
	{"the will of a refused client", ClauseWill, `
		blame a
		open b1 clean
		ok b1
		sub b1 r1 w q1
		suback b1 r1 0x01
		open a2 never will=9,w,q1
		refuse a2 0x87
		get b1 m9 w q1
		settle`, "it was refused"},
	{"an old retained message", ClauseRetained, `
		open a1 clean
		ok a1
		pub a1 m1 t q1 retain
		ack a1 m1
		pub a1 m2 t q1 retain
		ack a1 m2
		open b2 clean
		ok b2
		sub b2 r1 t q1
		suback b2 r1 0x01
		get b2 m1 t q1 retain
		get b2 m2 t q1 retain
		settle`, "the retained m1 on t, which m2 had replaced"},
	{"no retained message", ClauseRetained, `
		open a1 clean
		ok a1
		pub a1 m1 t q1 retain
		ack a1 m1
		open b2 clean
		ok b2
		sub b2 r1 + q1
		suback b2 r1 0x01
		settle`, "b subscribed to + and was not given the retained m1 on t"},
	{"a message in memory is lost, and nobody was killed", ClauseLost, `
		open a1 memory never
		ok a1
		sub a1 r1 t q1
		suback a1 r1 0x01
		pub a1 m9 t q1 memory
		get a1 m9 t q1
		ack a1 m9
		pub a1 m1 t q1 memory
		ack a1 m1
		settle`, "m1 of a, acknowledged, never reached a"},
	{"a session in memory is lost, and nobody was killed", ClausePresent, `
		open a1 memory never
		ok a1
		close a1 client
		open a2 memory never
		ok a2
		settle`, "a lost its session"},
	{"a session on the disk is lost beside one in memory", ClausePresent, `
		open a1 memory never
		ok a1
		open b2 never
		ok b2
		restart
		close a1 server
		close b2 server
		open b3 never
		ok b3
		settle`, "b lost its session"},
	{"no retained message, since the broker was killed", ClauseRetained, `
		open a1 clean
		ok a1
		pub a1 m1 t q1 retain
		ack a1 m1
		open b2 never
		ok b2
		sub b2 r1 + q1
		suback b2 r1 0x01
		restart
		close b2 server
		open b3 never
		ok b3 present
		settle`, "b subscribed to + and was not given the retained m1 on t"},
	{"no retained message for the same subscription again", ClauseRetained, `
		open a1 clean
		ok a1
		pub a1 m1 t q1 retain
		ack a1 m1
		sub a1 r1 t q1
		suback a1 r1 0x01
		get a1 m1 t q1 retain
		sub a1 r2 t q1
		suback a1 r2 0x01
		settle`, "was not given the retained m1"},
	{"a cleared retained message", ClauseRetained, `
		open a1 clean
		ok a1
		pub a1 m1 t q1 retain
		ack a1 m1
		pub a1 m2 t q1 retain empty
		ack a1 m2
		sub a1 r1 t q1
		suback a1 r1 0x01
		get a1 m1 t q1 retain
		settle`, "which m2 had replaced"},
	{"an empty message was retained", ClauseRetained, pair + "get b1 t q1 retain empty\nsettle", "an empty retained message"},
	{"a live message marked retained", ClauseRetained, pair + "pub a2 m1 t q1\nack a2 m1\nget b1 m1 t q1 retain\nsettle", "came to b as retained, but was not"},
	{"a session is forgotten", ClausePresent, "open a1 never\nok a1\nclose a1 client\nopen a2 never\nok a2\nsettle", "a lost its session: it does not expire"},
	{"a session is forgotten before its time", ClausePresent, "open a1 expiry=9\nok a1\nclose a1 client\nopen a2 never\nok a2\nsettle", "its time was not over"},
	{"a session outlives its time", ClausePresent, "open a1 expiry=1\nok a1\nclose a1 client\nwait 3s\nopen a2 never\nok a2 present\nsettle", "its time was over"},
	{"a session of a clean connection is kept", ClausePresent, "open a1 clean\nok a1\nclose a1 client\nopen a2 never\nok a2 present\nsettle", "it ended with its connection"},
	{"the session of a clean connection is taken over", ClausePresent, "open a1 clean\nok a1\nopen a2 never\nok a2 present\nclose a1 server\nsettle", "it ended with its connection"},
	{"a clean start finds a session", ClausePresent, "open a1 never\nok a1\nclose a1 client\nopen a2 clean\nok a2 present\nsettle", "it asked for a clean start"},
	{"a session out of nothing", ClausePresent, "open a1 never\nok a1 present\nsettle", "there was none"},
	{"a session ended by DISCONNECT is kept", ClausePresent, "open a1 never\nok a1\nbye a1 expiry=0\nclose a1 server\nopen a2 never\nok a2 present\nsettle", "it ended with its connection"},
	{"SUBACK came too early", ClauseEffective, pair + "pub a2 m1 t q1\nack a2 m1\nsettle", "though SUBACK had come"},
	{"a message after UNSUBACK", ClauseEffective, pair + "unsub b1 r2 t\nunsuback b1 r2\npub a2 m1 t q1\nack a2 m1\nget b1 m1 t q1\nsettle", "which its session did not subscribe to"},
	{"a message for the session before", ClauseEffective, pair + `
		close b1 client
		open b3 clean
		ok b3
		pub a2 m1 t q1
		ack a2 m1
		get b3 m1 t q1
		settle`, "which its session did not subscribe to"},
	{"two connections", ClauseOwner, "open a1 never\nok a1\nopen a2 never\nok a2 present\nwait 1s\nsettle", "the old one was never closed"},
	{"the old connection goes on", ClauseOwner, "open a1 never\nok a1\nopen a2 never\nok a2 present\npub a1 m1 t q1\nack a1 m1\nclose a1 server\nsettle", "sent on a connection that another had replaced"},
	{"a connection is cut", ClauseUndisturbed, "open a1 never\nok a1\nclose a1 server\nsettle", "a was disconnected"},
	{"a connection is cut with a code", ClauseUndisturbed, "open a1 never\nok a1\nclose a1 server 0x80\nsettle", "a was disconnected with 0x80"},
	{"somebody else is kicked", ClauseUndisturbed, "open a1 never\nok a1\nkick b\nclose a1 server\nsettle", "a was disconnected"},
	{"a connection is cut before CONNACK", ClauseUndisturbed, "open a1 never\nclose a1 server\nsettle", "closed before CONNACK"},
	{"a client is refused", ClauseUndisturbed, "open a1 never\nrefuse a1 0x88\nsettle", "refused with 0x88"},
	{"a publish is never answered", ClauseAnswered, pair + "pub a2 m1 t q1\nsettle", "m1 of a was never acknowledged"},
	{"a SUBSCRIBE is never answered", ClauseAnswered, "open a1 never\nok a1\nsub a1 r1 t q1\nsettle", "r1 was never answered"},
	{"a CONNECT is never answered", ClauseAnswered, "open a1 never\nsettle", "CONNECT of a was never answered"},
	{"a message out of nothing", ClauseProtocol, pair + "get b1 m7 t q1\nsettle", "which nobody sent"},
	{"a payload that nobody has sent", ClauseProtocol, pair + "get b1 t q0\nsettle", "b received on t what nobody sent"},
	{"a message on the topic of another", ClauseProtocol, pair + "pub a2 m1 t q1\nack a2 m1\nget b1 m1 u q1\nsettle", "m1 came to b on u and was sent to t"},
	{"a packet that may not come", ClauseProtocol, "open a1 never\nok a1\nbroken a1 nonsense\nsettle", "a: nonsense"},
}

func TestHistoriesThatKeepTheContract(t *testing.T) {
	for _, tt := range kept {
		t.Run(tt.name, func(t *testing.T) {
			require.Empty(t, Check(story(t, tt.text), DefaultSlack))
		})
	}
}

func TestHistoriesThatBreakTheContract(t *testing.T) {
	for _, tt := range broken {
		t.Run(tt.name, func(t *testing.T) {
			events := story(t, tt.text)
			got := Check(events, DefaultSlack)
			require.Len(t, got, 1)
			require.Equal(t, tt.clause, got[0].Clause)
			require.Contains(t, got[0].Text, tt.says)

			short := Shortest(events, DefaultSlack, got[0])
			require.NotEmpty(t, short)
			for i := range short {
				for _, v := range Check(slices.Delete(slices.Clone(short), i, i+1), DefaultSlack) {
					require.NotEqual(t, got[0].Text, v.Text, "event %d of the shortest trace can be left out: %s", i, short[i])
				}
			}
		})
	}
}

func TestEveryClauseHasAHistoryThatBreaksIt(t *testing.T) {
	for _, c := range Clauses {
		require.True(t, slices.ContainsFunc(broken, func(b struct {
			name   string
			clause Clause
			text   string
			says   string
		}) bool {
			return b.clause == c
		}), string(c))
	}
}

func TestAReportShowsTheShortestTrace(t *testing.T) {
	now := int64(0)
	c := NewChecker(func() int64 { now += int64(time.Millisecond); return now }, 0)
	noise := strings.Repeat("pub a2 m8 x q0\n", 200)
	for _, e := range story(t, pair+noise+"pub a2 m1 t q2\nget b1 m1 t q2\nack a2 m1\n"+noise+"get b1 m1 t q2\nsettle") {
		c.Record(e)
	}
	r := c.Verdict()
	require.False(t, r.Pass())
	r.Seed = 42
	var out strings.Builder
	require.NoError(t, r.Write(&out))
	require.Equal(t, `FAIL 1 violations  seed 42, 2 connections, 401 messages sent, 2 received, 0s
  exactly once: b received m1 of a 2 times, QoS 2
shortest trace of the first:
            0s  opened b #1 clean expiry=0s
           1ms  accepted b #1 present=false
           2ms  subscribing b #1 r1 t q2
           4ms  opened a #2 clean expiry=0s
         206ms  published a #2 m1 t q2
         207ms  received b #1 m1 t q2
         409ms  received b #1 m1 t q2
`, out.String())

	good := NewChecker(nil, 0)
	for _, e := range story(t, pair+"settle") {
		good.Record(e)
	}
	r = good.Verdict()
	require.True(t, r.Pass())
	out.Reset()
	require.NoError(t, r.Write(&out))
	require.Equal(t, "PASS  seed 0, 2 connections, 0 messages sent, 0 received, 0s\n", out.String())
}

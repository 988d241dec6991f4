// SPDX-License-Identifier: Apache-2.0

package chaos

import "time"

// Workloads of the cookbook.
var (
	quick    = Plan{Seed: 1, Steps: 300, Durable: true, Slack: 200 * time.Millisecond}
	talk     = Odds{Publish: 80, Subscribe: 10, Return: 10, Drop: 1}
	asking   = Odds{Publish: 30, Subscribe: 40, Unsubscribe: 10, Return: 10, Drop: 2}
	retained = Odds{Retain: 30, Subscribe: 30, Unsubscribe: 5, Publish: 10, Return: 10, Drop: 3}
	storm    = Odds{Publish: 30, Subscribe: 5, Takeover: 40, Return: 20, Drop: 5}
	dying    = Odds{Publish: 20, Drop: 20, Takeover: 10, Leave: 10, Return: 60, Subscribe: 10}
)

func (p Plan) with(o Odds) Plan { p.Odds = o; return p }

func (p Plan) steps(n int) Plan { p.Steps = n; return p }

func (p Plan) wills(seconds int) Plan { p.WillDelay = seconds; return p }

func (p Plan) blaming(globs ...string) Plan { p.Blame = globs; return p }

// Cookbook is the experiments, in the order of their numbers. Each mirrors a
// link, a monitor or a fault of emqttd 1.1.3 that its clients could feel.
var Cookbook = []Experiment{
	{
		Number: 1, Title: "the parser dies in the middle of a CONNECT that comes byte by byte",
		Emqttd: "emqttd_ws held the parser in its loop: a crash there was exit({shutdown, parser_error}), and the linked emqttd_ws_client went with it, without its will",
		Ours:   "the continuation and the unread bytes are in the cell: the CONNECT is accepted as if nothing had been",
		Faults: []string{"at=ws_loop/data do=panic when=every:5 hits=12"}, Hits: 3, Chop: 1, Plan: quick.steps(60),
	},
	{
		Number: 2, Title: "the parser's goroutine is ended while packets are half read",
		Emqttd: "no counterpart: an Erlang process that is killed in its loop takes its socket with it",
		Ours:   "Goexit is met as a panic is; the loop goes on with the next connection",
		Faults: []string{"at=ws_loop/data/decide do=goexit when=every:30 hits=10"}, Hits: 4, Chop: 7, Plan: quick,
	},
	{
		Number: 3, Title: "ws_loop is killed",
		Emqttd: "kill of the loop of emqttd_ws: the client process, linked and not trapping exits, died without terminate; no will, no disconnected event",
		Ours:   "the next incarnation takes up the mailbox; the client stays connected",
		Faults: []string{"at=ws_loop/data do=stop when=every:40 hits=10"}, Hits: 5, Plan: quick,
	},
	{
		Number: 4, Title: "ws_client is killed",
		Emqttd: "kill of emqttd_ws_client: the socket was closed, the will was lost, the session learnt it from its link",
		Ours:   "what was committed is written by the next incarnation, once",
		Faults: []string{"at=ws_client/* do=stop when=every:40 hits=10"}, Hits: 5, Plan: quick,
	},
	{
		Number: 5, Title: "ws_client dies between two writes",
		Emqttd: "a crash in its send function closed the connection with a delivery half written",
		Ours:   "a write and its strike are one act: no byte twice, none missing",
		Faults: []string{"at=ws_client/deliver/between do=panic when=every:25 hits=10"}, Hits: 3, Plan: quick.with(talk),
	},
	{
		Number: 6, Title: "the protocol actor dies while it decides about packets",
		Emqttd: "emqttd_protocol ran inside the client process: a function_clause closed the connection, and the will was published",
		Ours:   "the packet is tried once more; nobody is disconnected and no will is published",
		Faults: []string{"at=protocol/received/decide do=panic when=every:35 hits=10"}, Hits: 5, Plan: quick,
	},
	{
		Number: 7, Title: "the protocol actor dies between dispatch and acknowledgement",
		Emqttd: "a QoS 1 message that had been dispatched was not acknowledged: the publisher sent it again and every subscriber had it twice",
		Ours:   "the effects that are left are performed by the next incarnation: QoS 2 arrives once",
		Faults: []string{"at=protocol/received/between do=goexit when=every:50 hits=10"}, Hits: 5, Plan: quick.with(talk),
	},
	{
		Number: 8, Title: "a session dies while it takes deliveries",
		Emqttd: "emqttd_session was linked with its client: its crash killed the client without terminate, and with it the queue and the in-flight window",
		Ours:   "queue, window and packet identifiers are in the cell: order holds, nothing is lost",
		Faults: []string{"at=session/dispatch/decide do=panic when=every:40 hits=10"}, Hits: 5, Plan: quick.with(talk),
	},
	{
		Number: 9, Title: "a session dies between two effects of a delivery",
		Emqttd: "as 08; the message was in flight for nobody",
		Ours:   "the delivery is in the outbox and leaves once",
		Faults: []string{"at=session/dispatch/between do=panic when=every:40 hits=10"}, Hits: 4, Plan: quick.with(talk),
	},
	{
		Number: 10, Title: "a session dies over the acknowledgements of its client",
		Emqttd: "an acknowledgement that was lost with the session left its packet identifier in use, or freed one that was in flight",
		Ours:   "an acknowledgement is applied once, whatever dies",
		Faults: []string{"at=session/acked/decide do=panic when=every:30 hits=10"}, Hits: 4, Plan: quick.with(talk),
	},
	{
		Number: 11, Title: "a session dies between PUBREC and PUBCOMP",
		Emqttd: "the awaiting_rel map died with the session: PUBREL was answered with PUBCOMP all the same, and the message was delivered to nobody; without any crash the same happened after 20 s",
		Ours:   "the message is released once",
		Faults: []string{"at=session/releases/decide do=panic when=every:9 hits=6", "at=session/releases/between do=goexit when=every:9 hits=6"}, Hits: 6, Plan: quick.with(talk),
	},
	{
		Number: 12, Title: "a session is stopped by an operator's mistake",
		Emqttd: "the linked client died, a clean session left no trace, of a kept one the queue was gone",
		Ours:   "its cell is taken up by the next incarnation",
		Faults: []string{"at=session/* do=stop when=every:60 hits=10"}, Hits: 5, Plan: quick,
	},
	{
		Number: 13, Title: "the session manager dies during a takeover storm",
		Emqttd: "an emqttd_sm worker that crashed lost its monitors; a session that died then left its row, and the client identifier was locked out: \"cannot resume, already dead\"",
		Ours:   "the table belongs to the supervisor: every CONNECT is answered, one connection owns the session",
		Faults: []string{"at=sm/startsession do=panic when=every:8 hits=5"}, Hits: 4, Plan: quick.with(storm),
	},
	{
		Number: 14, Title: "the session manager dies after it has chosen and before it has told",
		Emqttd: "the caller's gen_server call failed: the client was closed without CONNACK",
		Ours:   "the attach leaves from the outbox",
		Faults: []string{"at=sm/startsession/between do=goexit when=every:9 hits=5"}, Hits: 4, Plan: quick.with(storm),
	},
	{
		Number: 15, Title: "the old session's attach dies while two connections want it",
		Emqttd: "a takeover never published the will of the connection it ended, in all four combinations of clean sessions",
		Ours:   "the old connection is closed, its will published as its death demands, once",
		Faults: []string{"at=session/attach/decide do=panic when=every:6 hits=8", "at=session/attach/between do=goexit when=every:15 hits=8"}, Hits: 6, Plan: quick.with(storm).wills(1),
	},
	{
		Number: 16, Title: "CONNECT dies between the session's answer and CONNACK",
		Emqttd: "the client process had registered with emqttd_cm and died: a row of a dead process",
		Ours:   "CONNACK comes, late by the restart",
		Faults: []string{"at=protocol/sessionstarted/decide do=panic when=every:6 hits=8", "at=protocol/sessionstarted/between do=panic when=every:20 hits=8"}, Hits: 5, Plan: quick.with(dying),
	},
	{
		Number: 17, Title: "SUBSCRIBE and a publish right behind SUBACK, with nothing broken",
		Emqttd: "SUBACK left before the route existed, an asynchronous cast: 21 to 29 % of the publishes right behind it were lost",
		Ours:   "SUBACK says that the subscription is in force",
		Plan:   quick.with(asking),
	},
	{
		Number: 18, Title: "the router dies under SUBSCRIBE",
		Emqttd: "an emqttd_server worker that crashed lost its monitors: rows and routes of dead subscribers stayed for ever, and the SUBACK said yes",
		Ours:   "the table outlives its actor: SUBACK comes when the route is there",
		Faults: []string{"at=router/route do=panic when=every:9 hits=4", "at=router/route/between do=panic when=every:9 hits=4"}, Hits: 4, Plan: quick.with(asking),
	},
	{
		Number: 19, Title: "the router is stopped under SUBSCRIBE",
		Emqttd: "gen_server calls to emqttd_server waited for ever or failed with noproc, and the client with them",
		Ours:   "the routes wait in the mailbox of the next incarnation",
		Faults: []string{"at=router/route do=stop when=every:7 hits=8"}, Hits: 4, Plan: quick.with(asking),
	},
	{
		Number: 20, Title: "the session dies between the route and SUBACK",
		Emqttd: "the subscription was in the table and its client gone",
		Ours:   "SUBACK leaves from the outbox, retained messages follow",
		Faults: []string{"at=session/routed/decide do=panic when=every:7 hits=6", "at=session/routed/between do=panic when=every:15 hits=6"}, Hits: 5, Plan: quick.with(asking),
	},
	{
		Number: 21, Title: "the retainer dies under a walk",
		Emqttd: "retained messages were read in the subscriber's process; the same filter again brought none at all",
		Ours:   "each SUBSCRIBE is given what was retained last, once",
		Faults: []string{"at=retainer/match do=panic when=every:12 hits=4", "at=retainer/match/between do=goexit when=every:12 hits=4"}, Hits: 4, Plan: quick.with(retained),
	},
	{
		Number: 22, Title: "the actors that see a connection die, die",
		Emqttd: "the will was published in terminate of the client process, which no kill, no link and no takeover ran",
		Ours:   "one will per death",
		Faults: []string{"at=protocol/closed do=panic when=every:3 hits=10", "at=session/detach do=goexit when=every:3 hits=10"}, Hits: 5, Plan: quick.with(dying).wills(1),
	},
	{
		Number: 23, Title: "the session dies when the delay of its will is over",
		Emqttd: "it knew no delay; a timer of a process that died was gone",
		Ours:   "the timer belongs to the cell: the will comes once",
		Faults: []string{"at=session/timerfired do=panic when=every:2 hits=6"}, Plan: quick.with(dying).wills(1),
	},
	{
		Number: 24, Title: "a goodbye is poisoned by a crash, once",
		Emqttd: "a crash while DISCONNECT was handled published the will that the DISCONNECT had withdrawn",
		Ours:   "the second attempt withdraws it",
		Faults: []string{"at=protocol/received/before do=goexit when=every:20 hits=12"}, Hits: 6, Plan: quick.with(Odds{Leave: 30, Return: 40, Publish: 30}),
	},
	{
		Number: 25, Title: "a packet that crashes its actor twice",
		Emqttd: "a PUBLISH whose topic was no UTF-8 crashed the client process; a crash in a hook killed whoever ran it, each time anew",
		Ours:   "its cause pays: a 5.0 PUBLISH is answered 0x83, anything else closes that connection and no other",
		Faults: []string{"at=protocol/received do=panic when=nth:60,recover_after:2"}, Hits: 2, Plan: quick.blaming("*"), // whoever sent it, the witness too
	},
	{
		Number: 26, Title: "a slow handler",
		Emqttd: "authentication, ACL and hooks ran inside the client process: their wait was the client's alone",
		Ours:   "the connections of one event loop wait; nobody is disconnected",
		Faults: []string{"at=protocol/received do=delay:100ms when=every:50 hits=5"}, Hits: 3, Plan: quick,
	},
	{
		Number: 27, Title: "the listener's actor dies over new connections",
		Emqttd: "killing esockd_connection_sup dropped all clients, and the listener never came back: its child specifications held the process identifiers of the dead",
		Ours:   "the port stays open, the connections wait and are let in",
		Faults: []string{"at=listener/knock do=panic when=every:5 hits=5", "at=listener/knock do=stop when=every:7 hits=5"}, Hits: 5, Plan: quick.with(dying),
	},
	{
		Number: 28, Title: "a leaf service dies: alarms, $SYS",
		Emqttd: "killing emqttd_alarm restarted the whole tree, one_for_all: every connection dropped, kept sessions and queues lost, hooks and commands gone",
		Ours:   "one_for_one: nobody notices",
		Faults: []string{"at=sys/* do=panic when=every:2 hits=5"}, Stop: []string{"sys"}, Plan: quick,
	},
	{
		Number: 29, Title: "the store's actor dies over a commit",
		Emqttd: "sessions and queues were in the memory of their processes: nothing of the kind could be lost late",
		Ours:   "handle and queue of commits are in the cell; handing a commit in again is doing it once",
		Faults: []string{"at=store/commit/decide do=panic when=every:40 hits=4", "at=store/written/between do=panic when=every:40 hits=4"}, Hits: 4, Plan: quick,
	},
	{
		Number: 30, Title: "anything dies anywhere",
		Emqttd: "each of the above",
		Ours:   "nothing is to be seen",
		Faults: []string{
			"at=*/*/decide do=panic when=p:0.001,seed:1 hits=15",
			"at=*/*/between do=goexit when=p:0.0005,seed:2 hits=10",
			"at=*/* do=stop when=p:0.0005,seed:3 hits=10",
		}, Hits: 5, Plan: quick.steps(600).wills(1),
	},
	{
		Number: 31, Title: "kill -9 in the middle of a commit",
		Emqttd: "sessions and queues were in memory: a restart lost every kept session and every queued message",
		Ours:   "what was acknowledged is there after the restart",
		Faults: []string{"at=store/commit do=kill when=nth:200"}, Process: true, Plan: quick.with(talk),
	},
}

// SPDX-License-Identifier: Apache-2.0

package broker_test

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"emqttd/actors/trace"
	"emqttd/protocol/packet"
	"emqttd/supervisor/broker/brokertest"
)

// follow starts a trace and returns what reads its events until one that want
// accepts: "kind step packet topic reason".
func follow(t *testing.T, b *brokertest.Broker, by trace.By, value string) func(last string) []string {
	t.Helper()
	tr, err := b.Trace().Start(trace.Rule{By: by, Value: value}, 0, "", time.Now())
	require.NoError(t, err)
	t.Cleanup(func() { b.Trace().Remove(tr.ID()) })
	after := uint64(0)
	return func(last string) (out []string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		for {
			events, _, _ := tr.Read(after, 1)
			if len(events) == 0 {
				require.NoError(t, tr.Wait(ctx, after), "no %q after\n%s", last, strings.Join(out, "\n"))
				continue
			}
			e := events[0]
			after = e.Seq
			line := strings.Join(strings.Fields(fmt.Sprint(e.Kind, " ", e.Step, " ", e.Packet, " ", e.Topic, " ", e.Reason)), " ")
			out = append(out, line)
			if line == last {
				return out
			}
		}
	}
}

func TestATraceShowsTheWayOfAMessage(t *testing.T) {
	b := brokertest.Start(t)
	until := follow(t, b, trace.ByClient, "pub")
	sub := join(t, b, clean(packet.V311, "sub"))
	sub.subscribe(packet.QoS1, "room/#")
	p := join(t, b, clean(packet.V311, "pub"))
	require.Equal(t, []string{
		"ws_loop parsed",
		"ws_client received CONNECT",
		"session attached",
		"protocol accepted CONNECT new session",
		"ws_client sent CONNACK success",
	}, withoutNames(until("ws_client sent CONNACK success")))
	p.publish(packet.QoS1, 7, "room/4", "x")
	sub.hears("room/4", "x")
	sub.fence()
	p.publish(packet.QoS0, 0, "room/5", "x")
	sub.hears("room/5", "x")
	p.publish(packet.QoS0, 0, "nobody/listens", "x")
	got := until("protocol dropped PUBLISH nobody/listens no_subscriber")
	for _, want := range []string{
		"ws_client received PUBLISH room/4",
		"protocol routed PUBLISH room/4",
		"session delivered PUBLISH room/4",
		"ws_client sent PUBLISH room/4",
		"session acknowledged PUBLISH room/4",
		"ws_client sent PUBACK",
		"protocol routed PUBLISH room/5",
		"session delivered PUBLISH room/5",
		"ws_client sent PUBLISH room/5",
		"ws_client received PUBLISH nobody/listens",
	} {
		require.Contains(t, got, want)
	}
}

// TestATraceOfATopicShowsItsMessagesAmongOthers, each on all of its way and no
// other: what is decided for a run of messages holds for that run only. A window of
// one makes the QoS 1 messages wait in the queue.
func TestATraceOfATopicShowsItsMessagesAmongOthers(t *testing.T) {
	for _, qos := range []packet.QoS{packet.QoS0, packet.QoS1} {
		for _, by := range []struct {
			by     trace.By
			value  string
			others bool // are shown, too
		}{{trace.ByTopic, "t/seen", false}, {trace.ByClient, "sub", true}, {trace.ByClient, "somebody", false}} {
			t.Run(fmt.Sprint(qos, by.by, by.value), func(t *testing.T) {
				b := brokertest.Start(t, "session.max_inflight=1")
				sub := join(t, b, clean(packet.V311, "sub"))
				sub.subscribe(packet.QoS1, "t/#")
				p := join(t, b, clean(packet.V311, "p"))
				tr, err := b.Trace().Start(trace.Rule{By: by.by, Value: by.value}, 0, "", time.Now())
				require.NoError(t, err)
				defer b.Trace().Remove(tr.ID())
				var all []packet.Packet
				topics := []string{"t/other", "t/seen", "t/seen", "t/other", "t/other", "t/seen"}
				for i, name := range topics {
					id := packet.ID(0)
					if qos > packet.QoS0 {
						id = packet.ID(i + 1)
					}
					all = append(all, pub(qos, id, name, "x"))
				}
				p.send(all...)
				for _, name := range topics {
					sub.hears(name, "x")
				}
				sub.fence()
				events, _, _ := tr.Read(0, 1000)
				got := map[string]int{}
				for _, e := range events {
					if e.Kind == "session" && e.Step == trace.Delivered || e.Kind == "ws_client" && e.Step == trace.Sent && e.Packet == "PUBLISH" {
						got[e.Kind+" "+e.Topic]++
					}
				}
				want := map[string]int{}
				if by.value != "somebody" {
					want["session t/seen"], want["ws_client t/seen"] = 3, 3
				}
				if by.others {
					want["session t/other"], want["ws_client t/other"] = 3, 3
				}
				require.Equal(t, want, got)
			})
		}
	}
}

// withoutNames cuts the names of connections, which differ.
func withoutNames(lines []string) (out []string) {
	for _, l := range lines {
		if i := strings.Index(l, " tcp:"); i >= 0 {
			l = l[:i]
		}
		out = append(out, l)
	}
	return out
}

func TestATraceSaysWhySomethingWaitsOrIsDropped(t *testing.T) {
	b := brokertest.Start(t, "session.max_queued_messages=1", "session.max_inflight=1", "session.queue_qos0=false")
	until := follow(t, b, trace.ByTopic, "t/+")
	away := join(t, b, kept(packet.V5, "away"))
	away.subscribe(packet.QoS1, "t/#")
	require.Equal(t, "session subscribed t/#", first(until("session subscribed t/#")))
	away.leave()
	p := join(t, b, clean(packet.V5, "p"))
	for i := range packet.ID(2) {
		p.publish(packet.QoS1, i+1, "t/a", "x")
	}
	p.publish(packet.QoS0, 0, "t/b", "x")
	require.NotEmpty(t, until("session queued PUBLISH t/a the client is away"))
	require.NotEmpty(t, until("session dropped PUBLISH t/a queue_full"))
	require.NotEmpty(t, until("session dropped PUBLISH t/b qos0_offline"))
	back := join(t, b, kept(packet.V5, "away"))
	require.Equal(t, "t/a", string(want[*packet.Publish](back).Topic))
	require.NotEmpty(t, until("session delivered PUBLISH t/a"))
	p.publish(packet.QoS1, 9, "t/c", "x")
	require.NotEmpty(t, until("session queued PUBLISH t/c as much is in flight as the client takes"))
}

func first(lines []string) string { return lines[len(lines)-1] }

func TestATraceSaysWhoWasNotLetIn(t *testing.T) {
	rules := filepath.Join(t.TempDir(), "acl.config")
	writeFile(t, rules, []byte("{deny, all, pubsub, [\"secret\"]}.\n{allow, all}.\n"))
	b := brokertest.Start(t, "acl.file="+rules)
	until := follow(t, b, trace.ByIP, "127.0.0.0/8")
	c := join(t, b, clean(packet.V5, "c"))
	require.Equal(t, packet.NotAuthorized, c.subscribe(packet.QoS0, "secret").Codes[0])
	require.NotEmpty(t, until("session refused secret not authorized"))
	c.send(pub(packet.QoS1, 3, "secret", "x"))
	require.Equal(t, packet.NotAuthorized, c.ack(packet.PUBACK).Code)
	require.NotEmpty(t, until("protocol denied PUBLISH secret by the access rules"))
	c.send(&packet.Connect{Version: packet.V5, ClientID: "c"})
	require.NotEmpty(t, until("protocol fault second_connect"))
	require.NotEmpty(t, until("ws_client closed fault"))
}

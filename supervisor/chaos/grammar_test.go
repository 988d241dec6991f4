// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var written = []struct {
	name, text string
	fault      Fault
}{
	{"the shortest", "at=ws_loop/data do=panic", At("ws_loop/data")},
	{"everything", `at=session/dispatch/between do=stall:2s when=nth:3,sticky scope=client:"a b,c",topic:x/#,listener:ws:* hits=5 ttl=30s`,
		At("session/dispatch/between").Stall(2 * time.Second).Nth(3).Sticky().Client("a b,c").Topic("x/#").Listener("ws:*").Times(5).Within(30 * time.Second)},
	{"a probability with its seed", "at=*/*/decide do=goexit when=p:0.25,seed:7", At("*/*/decide").Goexit().Probably(0.25, 7)},
	{"every, until the third attempt", "at=router/route do=stop when=every:10,recover_after:2", At("router/route").Stop().Every(10).RecoverAfter(2)},
	{"a delay", "at=store/commit do=delay:50ms", At("store/commit").Delay(50 * time.Millisecond)},
	{"a stall without end", "at=store/commit do=stall", At("store/commit").Stall(0)},
	{"the end of the process", "at=store/commit do=kill", At("store/commit").Kill()},
	{"a quote in a client identifier", `at=sm/startsession do=panic scope=client:"a\"b"`, At("sm/startsession").Client(`a"b`)},
}

func TestFaultsReadAndWriteAsOneLine(t *testing.T) {
	for _, tt := range written {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Parse(tt.text)
			require.NoError(t, err)
			require.Equal(t, tt.fault, got)
			require.Equal(t, tt.text, got.String())
			require.NoError(t, got.Validate())
		})
	}
}

func TestFaultsReadAndWriteAsJSON(t *testing.T) {
	for _, tt := range written {
		t.Run(tt.name, func(t *testing.T) {
			b, err := json.Marshal(tt.fault)
			require.NoError(t, err)
			var got Fault
			require.NoError(t, json.Unmarshal(b, &got))
			require.Equal(t, tt.fault, got)
		})
	}
	b, err := json.Marshal(At("ws_loop/data"))
	require.NoError(t, err)
	require.JSONEq(t, `{"at":"ws_loop/data","do":"panic"}`, string(b))
	b, err = json.Marshal(At("a/b").Delay(time.Second).Nth(2).Client("c*").Within(time.Minute))
	require.NoError(t, err)
	require.JSONEq(t, `{"at":"a/b","do":"delay:1s","when":"nth:2","scope":"client:c*","ttl":"1m0s"}`, string(b))
}

func TestFaultsThatAreWrittenWrongSayWhatToWrite(t *testing.T) {
	for _, tt := range []struct{ name, text, says string }{
		{"nothing", "", "a fault needs at= and do="},
		{"no action", "at=a/b", "a fault needs at= and do="},
		{"an unknown key", "at=a/b do=panic where=x", `there is no "where"`},
		{"a key twice", "at=a/b do=panic do=stop", "do is given twice"},
		{"no value", "at=a/b do=", "write key=value"},
		{"hits that are no number", "at=a/b do=panic hits=x", "write a number"},
		{"an unknown choice", "at=a/b do=panic when=nht:3", "write always"},
		{"a choice without its number", "at=a/b do=panic when=nth:x", "nth needs a number"},
		{"an unknown scope", "at=a/b do=panic scope=user:x", "write client:GLOB"},
		{"a quote left open", `at=a/b do=panic scope=client:"x`, "a quote is not closed"},
		{"a ttl without unit", "at=a/b do=panic ttl=30", "write a duration such as 30s"},
		{"a delay without unit", "at=a/b do=delay:30", "write a duration such as 50ms"},
		{"more than the bound", "at=a/b do=panic" + string(make([]byte, maxText)), "at most"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Parse(tt.text)
			require.ErrorContains(t, err, tt.says)
		})
	}
}

func TestFaultsThatMakeNoSenseSayWhy(t *testing.T) {
	for _, tt := range []struct {
		name       string
		fault      Fault
		says       string
		impossible bool
	}{
		{"a place without message", At("ws_loop"), "write kind/message", false},
		{"an unknown phase", At("a/b/done"), "write kind/message", false},
		{"an unknown action", Fault{At: "a/b", Do: Do{Action: "explode"}}, "write panic", false},
		{"a panic that lasts", Fault{At: "a/b", Do: Do{Panic, 1}}, "takes no duration", false},
		{"a delay without duration", At("a/b").Delay(0), "needs its duration", false},
		{"two choices", At("a/b").Nth(1).Every(2), "write one of", false},
		{"a negative choice", At("a/b").Nth(-1), "numbers from 1", false},
		{"a probability above 1", At("a/b").Probably(1.5, 0), "at most 1", false},
		{"a seed without probability", Fault{At: "a/b", Do: Do{Action: Panic}, When: When{Seed: 1}}, "goes with p", false},
		{"sticky that recovers", At("a/b").Sticky().RecoverAfter(2), "write one of them", false},
		{"a filter that is none", At("a/b").Topic("a#"), "scope=topic:a#", false},
		{"negative hits", At("a/b").Times(-1), "hits=-1", false},
		{"more than the bound once it is quoted", At("a/b").Panic().Client(strings.Repeat("\xB4", maxText/2)), "at most 4096 bytes", false},
		{"a negative ttl", At("a/b").Within(-1), "ttl=", false},
		{"drop", Fault{At: "a/b", Do: Do{Action: Drop}}, "cannot take a message out of a mailbox", true},
		{"duplicate", Fault{At: "a/b", Do: Do{Action: Duplicate}}, "one owner", true},
		{"reorder", Fault{At: "a/b", Do: Do{Action: Reorder}}, "order of a mailbox", true},
		{"corrupt", Fault{At: "a/b", Do: Do{Action: Corrupt}}, "immutable", true},
		{"a torn write", Fault{At: "store/commit", Do: Do{Action: TornWrite}}, "no store engine", true},
		{"a reset", Fault{At: "a/b", Do: Do{Action: Reset}}, "no socket", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.fault.Validate()
			require.ErrorContains(t, err, tt.says)
			require.Equal(t, tt.impossible, errors.Is(err, ErrImpossible))
			_, err = NewInjector(Options{}).Add(tt.fault)
			require.ErrorContains(t, err, tt.says)
		})
	}
	_, err := NewInjector(Options{}).Add(At("a/b").Kill())
	require.ErrorIs(t, err, ErrImpossible)
}

func TestGlobs(t *testing.T) {
	for _, tt := range []struct {
		pattern, s string
		want       bool
	}{
		{"a", "a", true}, {"a", "ab", false}, {"*", "", true}, {"*", "abc", true},
		{"a*", "abc", true}, {"a*", "ba", false}, {"*c", "abc", true}, {"*c", "abcd", false},
		{"a*c", "ac", true}, {"a*c", "abbc", true}, {"ab*bc", "abc", false},
		{"*b*", "abc", true}, {"*x*", "abc", false}, {"a*b*c", "a-b-b-c", true}, {"a*b*c", "a-c-b", false},
	} {
		require.Equal(t, tt.want, like(tt.pattern, tt.s), "%s %s", tt.pattern, tt.s)
	}
}

// FuzzParse: whatever is read can be written and read again as the same fault.
func FuzzParse(f *testing.F) {
	for _, tt := range written {
		f.Add(tt.text)
	}
	f.Add(`at=a/b do=panic when=p:1e-9,seed:18446744073709551615 ttl=1h2m3.5s scope=client:"\xff\u00e9"`)
	f.Fuzz(func(t *testing.T, text string) {
		first, err := Parse(text)
		if err != nil {
			return
		}
		if first.Validate() != nil {
			return
		}
		second, err := Parse(first.String())
		require.NoError(t, err, first.String())
		require.Equal(t, first, second)
	})
}

// SPDX-License-Identifier: Apache-2.0

package ws

import (
	"math/rand/v2"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// talker is one of several connections that take turns with the seats of a loop.
type talker struct {
	d      Driver
	stream []byte // still to be read
	want   []byte
	got    []byte
	pongs  []byte
	pings  int
}

// newTalker has fragmented messages with pings in between to say, each byte of
// which tells whose it is.
func newTalker(t *testing.T, u *Upgrader, sh *Shared, r *rand.Rand, name int) *talker {
	k := &talker{}
	res, _ := u.Upgrade(sh, &k.d, []byte(request), nil)
	require.Equal(t, Upgraded, res.Outcome)
	for i := range 20 {
		op := byte(opBinary)
		parts := 1 + r.IntN(4)
		for part := range parts {
			payload := []byte("client " + strconv.Itoa(name) + " message " + strconv.Itoa(i) + " ")[:r.IntN(20)]
			if part == parts-1 {
				op |= finBit
			}
			k.want = append(k.want, payload...)
			k.stream = append(k.stream, frame(op, payload)...)
			if r.IntN(3) == 0 {
				k.stream = append(k.stream, frame(finBit|opPing, []byte{byte(name)})...)
				k.pings++
			}
			op = opContinuation
		}
	}
	return k
}

// TestConnectionsTakeTurnsWithSeats: however their bytes arrive in between each
// other, on one loop or on two, each connection gets its own, and none has a seat
// when it has nothing on its way.
func TestConnectionsTakeTurnsWithSeats(t *testing.T) {
	for seed := range uint64(50) {
		r := rand.New(rand.NewPCG(seed, 1))
		u, loops := NewUpgrader(Config{}), []*Shared{NewShared(), NewShared()}
		var all []*talker
		for name := range 8 {
			all = append(all, newTalker(t, u, loops[0], r, name))
			require.Nil(t, all[name].d.seat)
		}
		require.Len(t, loops[0].seats, 8)
		for busy := len(all); busy > 0; {
			k := all[r.IntN(len(all))]
			if len(k.stream) == 0 {
				continue
			}
			n := min(1+r.IntN(30), len(k.stream))
			var err error
			k.got, k.pongs, err = k.d.Feed(loops[r.IntN(2)], k.stream[:n], k.got, k.pongs)
			require.NoError(t, err)
			require.Equal(t, k.d.inMessage || k.d.need > 0, k.d.seat != nil)
			if k.stream = k.stream[n:]; len(k.stream) == 0 {
				busy--
			}
		}
		for name, k := range all {
			require.Equal(t, string(k.want), string(k.got), "seed %d, client %d", seed, name)
			require.Len(t, k.pongs, 3*k.pings)
			for i := range k.pings {
				require.Equal(t, []byte{finBit | opPong, 1, byte(name)}, k.pongs[3*i:3*i+3])
			}
			require.Nil(t, k.d.seat)
		}
	}
}

// TestASeatIsMadeWhenAllAreTaken: and nothing of its handshake reaches a client.
func TestASeatIsMadeWhenAllAreTaken(t *testing.T) {
	sh, first := upgraded(t, Config{})
	second := &Driver{}
	NewUpgrader(Config{}).Upgrade(sh, second, []byte(request), nil)
	sh.seats = nil
	for _, d := range []*Driver{first, second} {
		got, out, err := d.Feed(sh, frame(opBinary, []byte("a")), nil, nil)
		require.NoError(t, err)
		require.Equal(t, "a", string(got))
		require.Empty(t, out)
	}
	require.NotSame(t, first.seat, second.seat)
	for _, d := range []*Driver{first, second} {
		got, out, err := d.Feed(sh, frame(finBit|opContinuation, []byte("b")), nil, nil)
		require.NoError(t, err)
		require.Equal(t, "b", string(got))
		require.Empty(t, out)
	}
	require.Len(t, sh.seats, 2)
}

// TestASeatThatHasSeenAnErrorIsNobodysAnyMore: gorilla would return it for ever.
func TestASeatThatHasSeenAnErrorIsNobodysAnyMore(t *testing.T) {
	for name, in := range map[string][]byte{
		"close":           frame(finBit|opClose, []byte{3, 232}),
		"bad close":       frame(finBit|opClose, []byte{0, 1}),
		"in a message":    append(frame(opBinary, []byte("x")), frame(finBit|opClose, nil)...),
		"refused by us":   frame(finBit|opText, []byte("x")),
		"begins anew":     append(frame(opBinary, []byte("x")), frame(opBinary, []byte("x"))...),
		"a reserved code": frame(finBit|0x0b, nil),
	} {
		t.Run(name, func(t *testing.T) {
			sh, bad := upgraded(t, Config{})
			_, _, err := bad.Feed(sh, in, nil, nil)
			require.Error(t, err)
			require.Nil(t, bad.seat)
			for range 3 {
				good := &Driver{}
				NewUpgrader(Config{}).Upgrade(sh, good, []byte(request), nil)
				got, _, err := good.Feed(sh, frame(finBit|opBinary, []byte("hello")), nil, nil)
				require.NoError(t, err)
				require.Equal(t, "hello", string(got))
			}
			_, _, again := bad.Feed(sh, frame(finBit|opBinary, []byte("x")), nil, nil)
			require.Equal(t, err, again)
		})
	}
}

func TestTheLoopKeepsFewSeats(t *testing.T) {
	sh, u := NewShared(), NewUpgrader(Config{})
	for range 3 * maxSeats {
		u.Upgrade(sh, &Driver{}, []byte(request), nil)
	}
	require.Len(t, sh.seats, maxSeats)
}

// TestADeflatingConnectionKeepsItsSeat: others have not agreed on it.
func TestADeflatingConnectionKeepsItsSeat(t *testing.T) {
	sh, d := upgraded(t, Config{Compression: true})
	require.NotNil(t, d.seat)
	require.Empty(t, sh.seats)
	got, _, err := d.Feed(sh, frame(finBit|rsv1Bit|opBinary, deflated(t, []byte("hello"))), nil, nil)
	require.NoError(t, err)
	require.Equal(t, "hello", string(got))
	require.NotNil(t, d.seat)
}

// SPDX-License-Identifier: Apache-2.0

package passwd

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/crypto/argon2"
)

// Cost is what one argon2id hash costs: memory in KiB, passes over it, and
// lanes. A password checked on a pool of n workers needs n times the memory.
type Cost struct {
	MemoryKiB uint32
	Passes    uint32
	Lanes     uint8
}

// DefaultCost is the smallest setting in general use: 19 MiB, two passes.
var DefaultCost = Cost{MemoryKiB: 19 * 1024, Passes: 2, Lanes: 1}

// Bounds on the cost that a file may ask for.
const (
	maxMemoryKiB = 1 << 20 // 1 GiB
	maxPasses    = 64
	saltBytes    = 16
	sumBytes     = 32
)

// hashed is one argon2id hash [RFC 9106].
type hashed struct {
	cost      Cost
	salt, sum []byte
}

func (h hashed) matches(password []byte) bool {
	sum := argon2.IDKey(password, h.salt, h.cost.Passes, h.cost.MemoryKiB, h.cost.Lanes, uint32(len(h.sum)))
	return subtle.ConstantTimeCompare(sum, h.sum) == 1
}

// NewHash makes an argon2id hash of password with a fresh salt. Expensive.
func NewHash(password []byte, cost Cost) Hash {
	salt := make([]byte, saltBytes)
	rand.Read(salt) // never fails
	sum := argon2.IDKey(password, salt, cost.Passes, cost.MemoryKiB, cost.Lanes, sumBytes)
	b64 := base64.RawStdEncoding.EncodeToString
	encoded := fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s",
		argon2.Version, cost.MemoryKiB, cost.Passes, cost.Lanes, b64(salt), b64(sum))
	return Hash{encoded: encoded, scheme: hashed{cost, salt, sum}}
}

// parseArgon2 reads "v=19$m=..,t=..,p=..$salt$sum".
func parseArgon2(rest string) (scheme, error) {
	fields := strings.Split(rest, "$")
	if len(fields) != 4 || fields[0] != "v="+strconv.Itoa(argon2.Version) {
		return nil, errors.New("argon2id is written $argon2id$v=19$m=..,t=..,p=..$salt$sum")
	}
	cost, err := parseCost(fields[1])
	if err != nil {
		return nil, err
	}
	salt, err1 := base64.RawStdEncoding.DecodeString(fields[2])
	sum, err2 := base64.RawStdEncoding.DecodeString(fields[3])
	if err1 != nil || err2 != nil || len(salt) < 8 || len(salt) > 64 || len(sum) < 16 || len(sum) > 64 {
		return nil, errBase64
	}
	return hashed{cost, salt, sum}, nil
}

// parseCost reads "m=..,t=..,p=.." with the bounds of the library and our own.
func parseCost(s string) (Cost, error) {
	fields := strings.Split(s, ",")
	if len(fields) != 3 {
		return Cost{}, errors.New("argon2id needs m=, t= and p=")
	}
	var values [3]uint64
	for i, bound := range []struct {
		key string
		max uint64
	}{{"m=", maxMemoryKiB}, {"t=", maxPasses}, {"p=", 255}} {
		digits, ok := strings.CutPrefix(fields[i], bound.key)
		v, err := strconv.ParseUint(digits, 10, 32)
		if !ok || err != nil || v < 1 || v > bound.max {
			return Cost{}, fmt.Errorf("argon2id: %s must be 1 to %d", bound.key, bound.max)
		}
		values[i] = v
	}
	return Cost{MemoryKiB: uint32(values[0]), Passes: uint32(values[1]), Lanes: uint8(values[2])}, nil
}

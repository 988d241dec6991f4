// SPDX-License-Identifier: Apache-2.0

package passwd

import (
	"errors"
	"fmt"
	"strings"
)

// A Hash is one stored password, ready to be compared. The zero Hash matches
// nothing, and takes no time to say so.
type Hash struct {
	encoded string
	scheme  scheme
}

// scheme is what is behind an encoded hash. matches is expensive.
type scheme interface{ matches(password []byte) bool }

// Errors of ParseHash.
var (
	ErrPlain  = errors.New("the password is not hashed; mosquitto_passwd -U hashes a file in place")
	ErrScheme = errors.New("unknown hash; known are $6$ and $7$ (Mosquitto), $argon2id$ and $2a$, $2b$, $2y$ (bcrypt)")
)

// maxEncoded bounds one encoded hash, in bytes. Mosquitto's longest has 64 bytes
// of salt and 64 of sum in base64.
const maxEncoded = 512

// ParseHash reads an encoded hash:
//
//	$6$salt$sum                          SHA-512 of password and salt, Mosquitto to 1.6
//	$7$iterations$salt$sum               PBKDF2 with SHA-512, Mosquitto 2
//	$argon2id$v=19$m=..,t=..,p=..$salt$sum
//	$2b$cost$...                         bcrypt
//
// Costs are bounded, so that a line of a file cannot stop the broker.
func ParseHash(encoded string) (Hash, error) {
	if !strings.HasPrefix(encoded, "$") {
		return Hash{}, ErrPlain
	}
	if len(encoded) > maxEncoded {
		return Hash{}, fmt.Errorf("hash of %d bytes, at most %d are allowed", len(encoded), maxEncoded)
	}
	name, rest, _ := strings.Cut(encoded[1:], "$")
	var s scheme
	var err error
	switch name {
	case "6":
		s, err = parseSHA512(rest)
	case "7":
		s, err = parsePBKDF2(rest)
	case "argon2id":
		s, err = parseArgon2(rest)
	case "2a", "2b", "2y":
		s, err = parseBcrypt(encoded)
	default:
		err = ErrScheme
	}
	if err != nil {
		return Hash{}, err
	}
	return Hash{encoded: encoded, scheme: s}, nil
}

// String is the encoded hash as it was read.
func (h Hash) String() string { return h.encoded }

// Matches reports whether h is the hash of password. It is expensive, and takes
// the same time whatever the answer is.
func (h Hash) Matches(password []byte) bool {
	return h.scheme != nil && h.scheme.matches(password)
}

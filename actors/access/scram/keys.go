// SPDX-License-Identifier: Apache-2.0

package scram

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/xdg-go/stringprep"
)

const (
	// DefaultIterations is for new passwords. It is the client that pays, at
	// every login: 15,000 rounds are about 10 ms on one core of a server, and
	// far more on a microcontroller. RFC 7677 asks for at least 4096.
	DefaultIterations = 15_000
	// MaxIterations bounds what a record may make clients do.
	MaxIterations = 1_000_000
	// MinIterations is the least that RFC 7677 allows.
	MinIterations = 4096

	saltBytes = 16
	maxSalt   = 64
)

// Keys are what a server keeps of a password for SCRAM-SHA-256 [RFC 5802 3].
// Who has them can neither log in nor read the password, but can guess at it,
// and can pretend to be the server.
type Keys struct {
	Salt       []byte `json:"salt"`
	Iterations int    `json:"iterations"`
	StoredKey  []byte `json:"stored_key"`
	ServerKey  []byte `json:"server_key"`
}

var errPassword = errors.New("scram: the password is no text that SASLprep allows")

// Derive makes the keys of a password, with a fresh salt. Expensive: pbkdf2 with
// that many rounds. The password is prepared as clients do it [RFC 4013]; one
// that cannot be is an error.
func Derive(password string, iterations int) (Keys, error) {
	salt := make([]byte, saltBytes)
	rand.Read(salt) // never fails
	return derive(password, salt, iterations)
}

func derive(password string, salt []byte, iterations int) (Keys, error) {
	prepared, err := prepare(password)
	if err != nil || prepared == "" {
		return Keys{}, errPassword
	}
	salted, err := pbkdf2.Key(sha256.New, prepared, salt, iterations, sha256.Size)
	if err != nil {
		return Keys{}, fmt.Errorf("scram: derive keys: %w", err)
	}
	stored := sha256.Sum256(sum(salted, "Client Key"))
	k := Keys{Salt: salt, Iterations: iterations, StoredKey: stored[:], ServerKey: sum(salted, "Server Key")}
	return k, k.Check()
}

// Check reports keys that no server could have made, as they may come from a
// store.
func (k *Keys) Check() error {
	switch {
	case k.Iterations < MinIterations || k.Iterations > MaxIterations:
		return fmt.Errorf("scram: %d iterations, %d to %d are allowed", k.Iterations, MinIterations, MaxIterations)
	case len(k.Salt) == 0 || len(k.Salt) > maxSalt:
		return fmt.Errorf("scram: salt of %d bytes, 1 to %d are allowed", len(k.Salt), maxSalt)
	case len(k.StoredKey) != sha256.Size || len(k.ServerKey) != sha256.Size:
		return errors.New("scram: a key is not 32 bytes")
	}
	return nil
}

// prepare is SASLprep, which leaves printable ASCII as it is.
func prepare(s string) (string, error) {
	if strings.IndexFunc(s, func(r rune) bool { return r < ' ' || r > '~' }) < 0 {
		return s, nil
	}
	if !utf8.ValidString(s) {
		return "", errPassword
	}
	return stringprep.SASLprep.Prepare(s)
}

func sum(key []byte, text string) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(text))
	return mac.Sum(nil)
}

// SPDX-License-Identifier: Apache-2.0

package passwd

import (
	"crypto/pbkdf2"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/crypto/bcrypt"
)

// Bounds on the costs that a file may ask for. The highest bcrypt cost takes
// about four seconds, the highest number of PBKDF2 rounds about the same.
const (
	maxIterations = 5_000_000
	maxBcryptCost = 16
)

var errBase64 = errors.New("salt or sum is not base64 of the right length")

// sumOfSalted is Mosquitto's $6$: SHA-512 over password and salt, once.
type sumOfSalted struct{ salt, sum []byte }

func parseSHA512(rest string) (scheme, error) {
	salt, sum, err := saltAndSum(rest)
	return sumOfSalted{salt, sum}, err
}

func (s sumOfSalted) matches(password []byte) bool {
	h := sha512.New()
	h.Write(password)
	h.Write(s.salt)
	return subtle.ConstantTimeCompare(h.Sum(nil), s.sum) == 1
}

// stretched is Mosquitto's $7$.
type stretched struct {
	iterations int
	salt, sum  []byte
}

func parsePBKDF2(rest string) (scheme, error) {
	count, rest, _ := strings.Cut(rest, "$")
	n, err := strconv.Atoi(count)
	if err != nil || n < 1 || n > maxIterations {
		return nil, fmt.Errorf("the number of iterations must be 1 to %d", maxIterations)
	}
	salt, sum, err := saltAndSum(rest)
	return stretched{n, salt, sum}, err
}

func (s stretched) matches(password []byte) bool {
	sum, err := pbkdf2.Key(sha512.New, string(password), s.salt, s.iterations, len(s.sum))
	return err == nil && subtle.ConstantTimeCompare(sum, s.sum) == 1
}

// saltAndSum reads Mosquitto's "salt$sum": base64 with padding, and a sum of 64
// bytes. The salt had 12 bytes to version 2.0 and has 64 since.
func saltAndSum(rest string) (salt, sum []byte, err error) {
	first, second, _ := strings.Cut(rest, "$")
	salt, err1 := base64.StdEncoding.DecodeString(first)
	sum, err2 := base64.StdEncoding.DecodeString(second)
	if err1 != nil || err2 != nil || len(salt) < 8 || len(salt) > 64 || len(sum) != sha512.Size {
		return nil, nil, errBase64
	}
	return salt, sum, nil
}

// crypted is a whole bcrypt string; the library takes it apart at each check.
type crypted []byte

func parseBcrypt(encoded string) (scheme, error) {
	cost, err := bcrypt.Cost([]byte(encoded))
	if err != nil || len(encoded) != 60 {
		return nil, errors.New("not a bcrypt hash of 60 characters")
	}
	if cost > maxBcryptCost {
		return nil, fmt.Errorf("bcrypt cost %d, at most %d is allowed", cost, maxBcryptCost)
	}
	return crypted(encoded), nil
}

// matches looks at the first 72 bytes of the password, as bcrypt does everywhere.
func (c crypted) matches(password []byte) bool {
	return bcrypt.CompareHashAndPassword(c, password) == nil
}

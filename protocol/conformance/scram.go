// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
)

// Variables that no script can name: the credentials of the run.
const scramUser, scramPassword = "scram user", "scram password"

// maxIterations bounds the work that a challenge can ask for.
const maxIterations = 1 << 20

// scramFirst is the client-first-message of SCRAM-SHA-256 [RFC 5802 7]. Without
// credentials it names a user that does not exist; a server that hides this
// challenges it all the same. The nonce is the script's identifier, since
// nothing is at stake in a check.
func (v vars) scramFirst() string { return "n,," + v.scramBare() }

func (v vars) scramBare() string {
	user := v[scramUser]
	if user == "" {
		user = "nobody"
	}
	return "n=" + strings.NewReplacer("=", "=3D", ",", "=2C").Replace(user) + ",r=" + v["id"]
}

// scramFinal answers the server's challenge with the proof of the password.
func (v vars) scramFinal(challenge string) ([]byte, error) {
	attr := map[string]string{}
	for part := range strings.SplitSeq(challenge, ",") {
		name, value, _ := strings.Cut(part, "=")
		attr[name] = value
	}
	salt, err := base64.StdEncoding.DecodeString(attr["s"])
	if err != nil {
		return nil, fmt.Errorf("scram challenge %q: %w", challenge, err)
	}
	iterations, err := strconv.Atoi(attr["i"])
	if err != nil || iterations < 1 || iterations > maxIterations {
		return nil, fmt.Errorf("scram challenge %q: iteration count", challenge)
	}
	salted, err := pbkdf2.Key(sha256.New, v[scramPassword], salt, iterations, sha256.Size)
	if err != nil {
		return nil, err
	}
	clientKey := mac(salted, "Client Key")
	storedKey := sha256.Sum256(clientKey)
	withoutProof := "c=biws,r=" + attr["r"]
	proof := mac(storedKey[:], v.scramBare()+","+challenge+","+withoutProof)
	for i := range proof {
		proof[i] ^= clientKey[i]
	}
	return []byte(withoutProof + ",p=" + base64.StdEncoding.EncodeToString(proof)), nil
}

func mac(key []byte, message string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(message))
	return h.Sum(nil)
}

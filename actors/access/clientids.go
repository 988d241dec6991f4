// SPDX-License-Identifier: Apache-2.0

package access

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"emqttd/actors/access/acl"
	"emqttd/protocol/packet"
)

// maxClientIDs bounds a client id file.
const maxClientIDs = 1_000_000

// ClientIDs is emqttd's clients.config: the client identifiers that may connect,
// and from where. It never changes after reading.
type ClientIDs struct {
	name string
	ids  map[string]place
}

type place struct {
	line int
	net  netip.Prefix // not valid: from anywhere
}

// ParseClientIDs reads the text of a client id file: on each line an identifier,
// or an identifier, spaces and an address or network. There are no comments, as
// an identifier may begin with anything. The error is the first fault, as
// "name:line: ...". When an identifier stands in two lines the later one counts,
// as in emqttd.
func ParseClientIDs(name, src string) (*ClientIDs, error) {
	c := &ClientIDs{name: name, ids: make(map[string]place)}
	number := 0
	for line := range strings.Lines(src) {
		number++
		fields := strings.Fields(line)
		p := place{line: number}
		var err error
		switch len(fields) {
		case 0:
			continue
		case 1:
		case 2:
			p.net, err = acl.ParseNetwork(fields[1])
		default:
			err = errors.New("a line is a client identifier, or one and its address")
		}
		if err == nil && len(c.ids) == maxClientIDs {
			err = fmt.Errorf("more than %d client identifiers", maxClientIDs)
		}
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", name, number, err)
		}
		c.ids[fields[0]] = p
	}
	return c, nil
}

// Len is the number of client identifiers.
func (c *ClientIDs) Len() int { return len(c.ids) }

// check is emqttd_auth_clientid:check_clientid_only/2. A client identifier
// proves no user name.
func (c *ClientIDs) check(r *Request) Answer {
	p, ok := c.ids[r.ClientID]
	if !ok {
		return Answer{Why: "unknown client identifier"}
	}
	where := fmt.Sprintf("%s:%d: ", c.name, p.line)
	if p.net.IsValid() && !p.net.Contains(acl.PlainAddr(r.Peer.Addr())) {
		return Answer{Outcome: Deny, Code: packet.NotAuthorized, Why: where + "the client identifier is allowed from another address"}
	}
	return Answer{Outcome: OK, Why: where + "known client identifier"}
}

// clientIDs is the link for a client id file: emqttd_auth_clientid without
// passwords, which it kept as plain text.
type clientIDs struct {
	name string
	file *File[*ClientIDs]
}

// ClientIDFile is a link for a client id file.
func ClientIDFile(name string, file *File[*ClientIDs]) Link { return &clientIDs{name, file} }

// Name is the name of the link in log and trace.
func (c *clientIDs) Name() string { return c.name }

// Try always has an answer.
func (c *clientIDs) Try(r *Request) (Answer, bool) { return c.file.Get().check(r), true }

// Check is Try.
func (c *clientIDs) Check(r *Request) Answer { return tried(c, r) }

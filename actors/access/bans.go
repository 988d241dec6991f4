// SPDX-License-Identifier: Apache-2.0

package access

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"emqttd/actors/access/acl"
)

// BanKind is what a ban names.
type BanKind string

const (
	BanClient  BanKind = "client"  // a client identifier
	BanUser    BanKind = "user"    // a user name, claimed or proven
	BanAddress BanKind = "address" // an IP address or a network
)

// Ban keeps someone out. It is a value that a store and the API can keep.
type Ban struct {
	Kind   BanKind   `json:"kind"`
	Value  string    `json:"value"` // of an address: as netip.Prefix writes it
	Until  time.Time `json:"until"` // the zero time: until it is deleted
	At     time.Time `json:"at"`
	By     string    `json:"by,omitempty"`
	Reason string    `json:"reason,omitempty"`
}

// ended reports whether the ban is over.
func (b *Ban) ended(now time.Time) bool { return !b.Until.IsZero() && !now.Before(b.Until) }

const (
	maxBans    = 100_000
	maxBanText = 1024 // bytes of each text of a ban
)

// ErrBans is returned by Add when the list is full.
var ErrBans = fmt.Errorf("access: more than %d bans", maxBans)

// Bans is the list of bans. A refused client gets 0x8A [v5 3.2.2.2], return code
// 5 below 5.0. A check takes a fraction of a microsecond and never waits long;
// time is always the caller's.
type Bans struct {
	mu    sync.RWMutex // protects the fields below
	list  map[key]Ban
	nets  map[netip.Prefix]Ban
	width [2][129]int // how many nets there are of each length, IPv4 and IPv6
}

type key struct {
	kind  BanKind
	value string
}

// NewBans makes an empty list.
func NewBans() *Bans {
	return &Bans{list: make(map[key]Ban), nets: make(map[netip.Prefix]Ban)}
}

// Check returns the ban that keeps out a client with these names and address.
// Empty names and the zero address are not looked up, so a listener can ask
// about the address alone, and CONNECT again with the names, claimed and proven.
func (b *Bans) Check(now time.Time, clientID, user string, addr netip.Addr) (Ban, bool) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	for _, k := range [...]key{{BanClient, clientID}, {BanUser, user}} {
		if k.value == "" {
			continue
		}
		if ban, ok := b.list[k]; ok && !ban.ended(now) {
			return ban, true
		}
	}
	return b.checkAddr(now, acl.PlainAddr(addr))
}

// checkAddr looks for a net of every length that some ban has.
func (b *Bans) checkAddr(now time.Time, addr netip.Addr) (Ban, bool) {
	if !addr.IsValid() || len(b.nets) == 0 {
		return Ban{}, false
	}
	width := &b.width[family(addr)]
	for bits := addr.BitLen(); bits >= 0; bits-- {
		if width[bits] == 0 {
			continue
		}
		p, _ := addr.Prefix(bits) // bits are in range
		if ban, ok := b.nets[p]; ok && !ban.ended(now) {
			return ban, true
		}
	}
	return Ban{}, false
}

func family(a netip.Addr) int {
	if a.Is4() {
		return 0
	}
	return 1
}

// Add adds a ban, or replaces the one with the same kind and value. When the
// list is full, ended bans make room.
func (b *Bans) Add(now time.Time, ban Ban) error {
	if len(ban.Value) > maxBanText || len(ban.By) > maxBanText || len(ban.Reason) > maxBanText {
		return fmt.Errorf("access: a text of a ban has more than %d bytes", maxBanText)
	}
	if ban.ended(now) {
		return errors.New("access: the ban would be over already")
	}
	ban, prefix, err := ban.normal()
	if err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	k := key{ban.Kind, ban.Value}
	if _, ok := b.list[k]; !ok {
		if len(b.list) >= maxBans && b.expire(now) == 0 {
			return ErrBans
		}
		if ban.Kind == BanAddress {
			b.width[family(prefix.Addr())][prefix.Bits()]++
		}
	}
	b.list[k] = ban
	if ban.Kind == BanAddress {
		b.nets[prefix] = ban
	}
	return nil
}

// normal is the ban with its value in the one form that is looked up.
func (b Ban) normal() (Ban, netip.Prefix, error) {
	switch {
	case b.Value == "":
		return b, netip.Prefix{}, errors.New("access: a ban needs a value")
	case b.Kind == BanClient, b.Kind == BanUser:
		return b, netip.Prefix{}, nil
	case b.Kind != BanAddress:
		return b, netip.Prefix{}, fmt.Errorf("access: a ban is of a client, a user or an address, not of a %q", b.Kind)
	}
	p, err := acl.ParseNetwork(b.Value)
	if err != nil {
		return b, p, fmt.Errorf("access: ban: %w", err)
	}
	b.Value = p.String()
	return b, p, nil
}

// Delete takes a ban off the list; false says that there was none.
func (b *Bans) Delete(kind BanKind, value string) bool {
	ban, _, err := Ban{Kind: kind, Value: value}.normal()
	if err != nil {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.remove(key{ban.Kind, ban.Value})
}

// remove needs mu.
func (b *Bans) remove(k key) bool {
	if _, ok := b.list[k]; !ok {
		return false
	}
	delete(b.list, k)
	if k.kind == BanAddress {
		p := netip.MustParsePrefix(k.value) // as normal wrote it
		delete(b.nets, p)
		b.width[family(p.Addr())][p.Bits()]--
	}
	return true
}

// Expire takes ended bans off the list and returns how many they were. Checks do
// not need it; it keeps the list short.
func (b *Bans) Expire(now time.Time) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.expire(now)
}

// expire needs mu.
func (b *Bans) expire(now time.Time) (n int) {
	for k, ban := range b.list {
		if ban.ended(now) && b.remove(k) {
			n++
		}
	}
	return n
}

// List is every ban that has not ended, by kind and value.
func (b *Bans) List(now time.Time) []Ban {
	b.mu.RLock()
	all := make([]Ban, 0, len(b.list))
	for _, ban := range b.list {
		if !ban.ended(now) {
			all = append(all, ban)
		}
	}
	b.mu.RUnlock()
	slices.SortFunc(all, func(x, y Ban) int {
		if c := strings.Compare(string(x.Kind), string(y.Kind)); c != 0 {
			return c
		}
		return strings.Compare(x.Value, y.Value)
	})
	return all
}

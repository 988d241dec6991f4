// SPDX-License-Identifier: Apache-2.0

package trace

import (
	"errors"
	"fmt"
	"net/netip"

	"emqttd/protocol/topic"
)

// Rule is what a trace is about.
type Rule struct {
	By    By     `json:"by"`
	Value string `json:"value"`

	prefix netip.Prefix
}

// By is what a rule compares.
type By string

const (
	ByClient By = "client" // the client id, exactly: its packets, and its messages wherever they go
	ByTopic  By = "topic"  // a topic filter: messages it matches, subscriptions to it
	ByIP     By = "ip"     // an address or a prefix
)

// maxValue is the length of a client id or a filter, in bytes.
const maxValue = 65535

// ErrRule is wrapped by what Start returns for a rule that means nothing.
var ErrRule = errors.New("trace")

// check makes a rule ready.
func (r *Rule) check() error {
	if r.Value == "" || len(r.Value) > maxValue {
		return fmt.Errorf("%w: value: 1 to %d bytes", ErrRule, maxValue)
	}
	switch r.By {
	case ByClient:
		return nil
	case ByTopic:
		if err := topic.ValidFilter(r.Value, topic.Limits{}); err != nil {
			return fmt.Errorf("%w: %q is no topic filter: %w", ErrRule, r.Value, err)
		}
		return nil
	case ByIP:
		var err error
		if r.prefix, err = netip.ParsePrefix(r.Value); err == nil {
			r.prefix = r.prefix.Masked()
			return nil
		}
		addr, err := netip.ParseAddr(r.Value)
		if err != nil {
			return fmt.Errorf("%w: %q is neither an address nor a prefix such as 10.0.0.0/8", ErrRule, r.Value)
		}
		r.prefix = netip.PrefixFrom(addr.Unmap(), addr.Unmap().BitLen())
		return nil
	}
	return fmt.Errorf("%w: by: %q is none of client, topic, ip", ErrRule, r.By)
}

// wants reports whether e belongs to the trace. It is asked for every note of
// every client while any trace is on.
func (r *Rule) wants(e *Event) bool { return r.of(e.Client, e.From, e.Topic, e.Addr) }

func (r *Rule) of(client, from, about string, addr netip.AddrPort) bool {
	switch r.By {
	case ByClient:
		return client == r.Value || from == r.Value
	case ByTopic:
		return about != "" && (about == r.Value || topic.Match(r.Value, about))
	default:
		return r.prefix.Contains(addr.Addr().Unmap())
	}
}

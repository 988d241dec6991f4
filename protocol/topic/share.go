// SPDX-License-Identifier: Apache-2.0

package topic

import "strings"

const (
	sharePrefix = "$share/" // [v5 MQTT-4.8.2-1]
	queuePrefix = "$queue/" // emqttd's older spelling of one nameless group
	queueGroup  = "$queue"
)

// Share is a subscription whose messages are divided among the members of a
// group. Group and Filter share the bytes of the text they were parsed from.
type Share struct {
	Group  string // at least one character; "$queue" for $queue/{filter}
	Filter string // what is matched; still to be checked by ValidFilter
	Queue  bool   // written $queue/{filter}
}

// String is the filter as the client wrote it.
func (s Share) String() string {
	if s.Queue {
		return queuePrefix + s.Filter
	}
	return sharePrefix + s.Group + "/" + s.Filter
}

// ParseShare takes $share/{group}/{filter} [v5 4.8.2] or emqttd's
// $queue/{filter} apart. The broker does so for every protocol version: 3.1.1
// would allow a plain filter of that spelling, but emqttd's clients rely on it.
//
// Any other filter is returned with shared false and a nil error. A filter that
// begins as a shared subscription and is none is ErrShare; "$share" alone is a
// filter like another, since the prefix ends with a slash.
//
// $share/$queue/t and $queue/t name the same group, as in emqttd's successors.
func ParseShare(filter string) (s Share, shared bool, err error) {
	if rest, ok := strings.CutPrefix(filter, queuePrefix); ok {
		if rest == "" {
			return Share{}, true, ErrShare
		}
		return Share{Group: queueGroup, Filter: rest, Queue: true}, true, nil
	}
	rest, ok := strings.CutPrefix(filter, sharePrefix)
	if !ok {
		return Share{}, false, nil
	}
	// [v5 MQTT-4.8.2-1] at least one character; [v5 MQTT-4.8.2-2] none of / + #,
	// then a slash, then a filter.
	group, inner, found := strings.Cut(rest, "/")
	if !found || group == "" || inner == "" || strings.ContainsAny(group, "+#") {
		return Share{}, true, ErrShare
	}
	return Share{Group: group, Filter: inner}, true, nil
}

// SPDX-License-Identifier: Apache-2.0

// Package observe is the part of the REST interface by which operators watch the
// broker: traces, alarms, slow subscribers, counted topics, profiles of the
// process. emqttd had traces in emqttd_ctl and alarms under $SYS only.
//
// A viewer reads; starting and stopping takes an administrator and is in the
// audit log. A live stream is server-sent events, one for each event of a trace;
// a reader that is too slow is told how many it missed.
package observe

// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"

	"emqttd/protocol/client"
)

// print writes one message, whole, so that a pipe gets it at once.
func (u *subscriber) print(m *client.Message) {
	o := &u.s.sub
	switch {
	case o.format != nil:
		f := formatted{m: m, at: u.w.now(), pretty: o.pretty}
		_, _ = u.out.Write(f.append(nil, o.format))
		if f.notJSON {
			u.s.errorf(u.w, "Error: Message payload is not valid JSON on topic %s.", m.Topic)
		}
	case len(m.Payload) == 0 && !o.verbose:
		return // as mosquitto_sub: not even the end of line
	case len(m.Payload) == 0:
		_, _ = u.out.WriteString(m.Topic + " (null)")
	default:
		if o.verbose {
			_, _ = u.out.WriteString(m.Topic + " ")
		}
		_, _ = u.out.Write(m.Payload)
	}
	if !o.noNewline {
		_ = u.out.WriteByte('\n')
	}
	if err := u.out.Flush(); err != nil { // nobody reads any more
		u.end(exitFailure)
	}
}

func (u *subscriber) printf(format string, a ...any) { _, _ = fmt.Fprintf(u.w.out, format, a...) }

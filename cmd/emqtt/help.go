// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"strings"
)

var helpHeads = map[string]string{
	"pub": `emqtt pub publishes a message, or several, and exits.

  emqtt pub [-h HOST] [-p PORT] -t TOPIC {-m TEXT | -f FILE | -l | -n | -s} [options]
  emqtt pub -L URL {-m TEXT | -f FILE | -l | -n | -s} [options]

The options are those of mosquitto_pub.
`,
	"sub": `emqtt sub subscribes to topics and prints the messages it receives.

  emqtt sub [-h HOST] [-p PORT] -t FILTER [-t FILTER ...] [options]
  emqtt sub -L URL [options]

The options are those of mosquitto_sub.
`,
}

const formatHelp = `
Output format (-F): text with
  %t topic       %p payload      %x %X payload in hex    %l its length
  %q QoS         %r retained     %m packet identifier    %j %J all as JSON, the payload a string, or JSON itself
  %A topic alias %C content type %D correlation data     %E message expiry      %F payload format
  %P user properties             %R response topic       %S subscription identifier
  %I ISO 8601 time               %U Unix time            @X what strftime(3) makes of %X    @N nanoseconds
  \n \t \r \0 \a \e \v \\ %% @@
and a width behind the percent sign, as in %-20t, %010l or %.10t.
`

// printHelp prints the flag table.
func printHelp(w io.Writer, tool string) {
	var b strings.Builder
	b.WriteString(helpHeads[tool])
	b.WriteString("\n")
	for _, o := range options(tool) {
		fmt.Fprintf(&b, "  %-36s %s\n", strings.TrimSpace(o.names()+" "+o.argument()), o.help)
	}
	if tool == "sub" {
		b.WriteString(formatHelp)
	}
	_, _ = io.WriteString(w, b.String())
}

func (o *option) names() string {
	if o.short != "" && o.long != "" {
		return o.short + ", " + o.long
	}
	return o.short + o.long
}

func (o *option) argument() string {
	switch o.values {
	case 0:
		return ""
	case propertyArgs:
		return "PACKET NAME VALUE"
	}
	return strings.ToUpper(strings.ReplaceAll(o.what, " ", "-"))
}

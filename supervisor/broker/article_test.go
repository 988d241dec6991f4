// SPDX-License-Identifier: Apache-2.0

package broker_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"emqttd/listeners/dashboard/browsertest"
	"emqttd/supervisor/broker/brokertest"
)

// TestTheArticleInABrowser follows the article with the page alone: it opens
// http://HOST:18083/#/websocket, logs in as admin with public, and looks at the
// bytes for which the article needed Wireshark.
func TestTheArticleInABrowser(t *testing.T) {
	p := browsertest.Start(t).Page()
	b := brokertest.Start(t, "dashboard.bind=127.0.0.1:0")
	shots := browsertest.Shots(t)
	// shot saves the page as a desk and as a phone shows it, and holds that nothing
	// reaches beyond the window.
	shot := func(name string) {
		t.Helper()
		for _, size := range []struct{ width, height int }{{1440, 900}, {390, 844}} {
			p.Size(size.width, size.height)
			p.Eval(nil, "document.activeElement.blur(), scrollTo(0, 0)")
			require.Empty(t, p.Overflow(), "wider than %d", size.width)
			contrast, focus := p.Looks()
			require.Empty(t, append(contrast, focus...), "at %d pixels", size.width)
			p.Eval(nil, "document.activeElement.blur()")
			p.Shot(shots, fmt.Sprintf("websocket-%s-%d", name, size.width))
		}
		p.Size(1440, 900)
	}
	p.Scheme("light")
	p.Open("http://" + b.Addr("dashboard").String() + "/#/websocket")
	p.Fill("Name", "admin")
	p.Fill("Password", "public")
	p.Press("Log in")
	p.WaitText("New connection")
	shot("new")

	p.Press("Play the article")
	p.WaitText("CONNACK connection accepted")
	for _, text := range []string{
		"GET /mqtt HTTP/1.1", "HTTP/1.1 101 Switching Protocols", "a42e624950071787646029c0eab0345437c4a6e2", "pC5iSVAHF4dkYCnA6rA0VDfEpuI=",
		"CONNECT 861694030142473", "53 bytes in 13 frames", "{more, want 51 bytes: body}", "{more, want 8 bytes: body}", "{ok, Packet, Rest}",
		"libaineu2004", "12345678", "seconds; silence of more than 90 is the end", "emqttd_protocol",
	} {
		p.WaitText(text)
	}
	p.Wait("[...document.querySelectorAll('.step')].some(s => s.querySelectorAll('.frames .line:not(.heads)').length === 13)")
	// A field and its bytes mark each other.
	p.Eval(nil, "[...document.querySelectorAll('.fields li')].find(e => e.innerText.includes('client identifier length')).focus()")
	p.Wait("document.querySelectorAll('.dump .hex i.marked').length === 2 && document.querySelectorAll('.dump .ascii i.marked').length === 2")
	shot("connect")

	p.Press("Subscribe")
	p.Fill("Topic filter", "room/#")
	p.Press("One")
	p.Press("Send SUBSCRIBE")
	p.WaitText("SUBACK #1 granted qos 0")
	p.Press("Publish")
	p.Fill("Topic", "room/4")
	p.Fill("Message", "21.5 degrees")
	p.Press("N frames")
	p.Fill("Frames", "3")
	p.Press("Send PUBLISH")
	p.Wait("[...document.querySelectorAll('.step.in')].some(s => s.innerText.includes('PUBLISH room/4'))")
	p.WaitText("21.5 degrees")
	p.Press("Messages")
	p.Wait("document.querySelectorAll('.step').length === 2")
	p.Scheme("dark")
	shot("publish")
	p.Scheme("light")
	p.Press("All")

	// The capture's PINGREQ: header 82 82, mask 8f 06 5d 55, masked 4f 06.
	p.Press("More")
	p.Press("One")
	p.Fill("Masking key", "8f 06 5d 55")
	p.Press("Send PINGREQ")
	p.WaitText("PINGRESP")
	p.WaitText("82 82 8f 06 5d 55")
	p.WaitText("4f 06")
	shot("ping")

	// All of it is there again after a reload.
	p.Reload()
	p.WaitText("PINGRESP")
	p.WaitText("CONNECT 861694030142473")
	p.Press("Close")
	p.WaitText("code 1000 (normal)")

	// A failed upgrade says in a sentence what to change.
	p.Press("+ New connection")
	p.Press("Look")
	p.Wait("document.querySelectorAll('.everybody li').length === 1")
	p.Click("summary")
	p.Fill("Sub-protocol", "soap")
	p.Press("Connect")
	p.WaitText("The server refused with 400. It says:")
	shot("refused")
	require.Empty(t, p.Faults(), "exceptions, or refused by the security policy")
}

// SPDX-License-Identifier: Apache-2.0

package browsertest

import (
	_ "embed" // looks.js
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// Page is one tab with cookies of its own.
type Page struct {
	t       testing.TB
	b       *Browser
	session string

	mu       sync.Mutex
	requests []string // every address that was asked for
	faults   []string // exceptions, refused inline code, failed loads
}

type object map[string]any

// Page opens an empty tab, 1440 by 900.
func (b *Browser) Page() *Page { return b.PageOf(b.t) }

// PageOf is Page for a part of the test that started the browser.
func (b *Browser) PageOf(t testing.TB) *Page {
	t.Helper()
	var context struct{ BrowserContextID string }
	b.do(&context, "Target.createBrowserContext", nil)
	var target struct{ TargetID string }
	b.do(&target, "Target.createTarget", object{"url": "about:blank", "browserContextId": context.BrowserContextID})
	var session struct{ SessionID string }
	b.do(&session, "Target.attachToTarget", object{"targetId": target.TargetID, "flatten": true})
	p := &Page{t: t, b: b, session: session.SessionID}
	b.mu.Lock()
	b.pages[p.session] = p
	b.mu.Unlock()
	for _, domain := range []string{"Page", "Runtime", "Network", "Log"} {
		p.do(nil, domain+".enable", nil)
	}
	p.Size(1440, 900)
	return p
}

func (b *Browser) do(out any, method string, params any) {
	b.t.Helper()
	(&Page{t: b.t, b: b}).do(out, method, params)
}

func (p *Page) do(out any, method string, params any) {
	t := p.t
	t.Helper()
	result, err := p.b.call(p.session, method, params)
	if err != nil {
		t.Fatalf("%s: %v", method, err)
	}
	if out != nil {
		must(t, json.Unmarshal(result, out))
	}
}

// event keeps what a test asks about later.
func (p *Page) event(method string, params json.RawMessage) {
	var e struct {
		Request          struct{ URL string }
		ExceptionDetails struct {
			Text      string
			Exception struct{ Description string }
		}
		Entry struct{ Source, Level, Text, URL string }
	}
	if json.Unmarshal(params, &e) != nil {
		return // an event of another shape is none of these
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch method {
	case "Network.requestWillBeSent":
		p.requests = append(p.requests, e.Request.URL)
	case "Runtime.exceptionThrown":
		p.faults = append(p.faults, e.ExceptionDetails.Text+" "+e.ExceptionDetails.Exception.Description)
	case "Log.entryAdded":
		// An answer that is an error is the test's own business.
		if e.Entry.Level == "error" && e.Entry.Source != "network" {
			p.faults = append(p.faults, e.Entry.Text)
		}
	}
}

// Requests are the addresses that the page has asked for so far.
func (p *Page) Requests() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.requests)
}

// Faults are exceptions of scripts and what the security policy has refused.
func (p *Page) Faults() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.faults)
}

// Size sets the window in CSS pixels; below 600 it is a phone.
func (p *Page) Size(width, height int) {
	p.t.Helper()
	p.do(nil, "Emulation.setDeviceMetricsOverride", object{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600})
}

// Scheme is what the system prefers: "light" or "dark", and nothing that moves, so
// that a colour is there at once.
func (p *Page) Scheme(name string) {
	p.t.Helper()
	p.do(nil, "Emulation.setEmulatedMedia", object{"features": []object{
		{"name": "prefers-color-scheme", "value": name}, {"name": "prefers-reduced-motion", "value": "reduce"}}})
}

// Open goes to an address and waits until it is there.
func (p *Page) Open(url string) {
	p.t.Helper()
	var nav struct{ ErrorText string }
	p.do(&nav, "Page.navigate", object{"url": url})
	if nav.ErrorText != "" {
		p.t.Fatalf("%s: %s", url, nav.ErrorText)
	}
	p.Wait("document.readyState === 'complete'")
}

// Reload loads the page anew.
func (p *Page) Reload() {
	p.t.Helper()
	p.Eval(nil, "window.stale = true")
	p.do(nil, "Page.reload", nil)
	p.Wait("document.readyState === 'complete' && !window.stale")
}

// Eval evaluates an expression in the page and keeps its value, as JSON, in out.
func (p *Page) Eval(out any, expression string) {
	p.t.Helper()
	if err := p.eval(out, expression); err != nil {
		p.t.Fatalf("%s: %v", expression, err)
	}
}

func (p *Page) eval(out any, expression string) error {
	result, err := p.b.call(p.session, "Runtime.evaluate", object{"expression": expression, "awaitPromise": true, "returnByValue": true})
	if err != nil {
		return err
	}
	var r struct {
		Result           struct{ Value json.RawMessage }
		ExceptionDetails *struct{ Exception struct{ Description string } }
	}
	if err := json.Unmarshal(result, &r); err != nil {
		return err
	}
	if r.ExceptionDetails != nil {
		return fmt.Errorf("%s", r.ExceptionDetails.Exception.Description)
	}
	if out == nil || len(r.Result.Value) == 0 {
		return nil
	}
	return json.Unmarshal(r.Result.Value, out)
}

// waiting resolves with true once an expression holds, false when time is up. It
// looks every few milliseconds: a tab that nobody sees draws no frames.
const waiting = `new Promise(resolve => {
	const end = performance.now() + %d
	const look = () => {
		let holds = false
		try { holds = !!(%s) } catch {}
		if (holds || performance.now() > end) resolve(holds)
		else setTimeout(look, 10)
	}
	look()
})`

// Wait waits until an expression holds in the page.
func (p *Page) Wait(expression string) {
	p.t.Helper()
	ok := false
	var err error
	for range 3 { // a navigation ends the evaluation, not the wish
		if err = p.eval(&ok, fmt.Sprintf(waiting, patience.Milliseconds(), expression)); err == nil {
			break
		}
	}
	if err == nil && ok {
		return
	}
	var text string
	_ = p.eval(&text, "location.href + '\\n' + document.body.innerText")
	p.t.Fatalf("the page never came to %s (%v)\nfaults: %q\nit shows:\n%s", expression, err, p.Faults(), text)
}

// WaitText waits until the page shows a text.
func (p *Page) WaitText(text string) {
	p.t.Helper()
	p.Wait("document.body.innerText.includes(" + quote(text) + ")")
}

// WaitNoText waits until the page does not show a text any more.
func (p *Page) WaitNoText(text string) {
	p.t.Helper()
	p.Wait("!document.body.innerText.includes(" + quote(text) + ")")
}

// WaitFor waits until something matches a CSS selector.
func (p *Page) WaitFor(selector string) {
	p.t.Helper()
	p.Wait("document.querySelector(" + quote(selector) + ")")
}

// Click clicks the element that a CSS selector matches first, in its middle.
func (p *Page) Click(selector string) {
	p.t.Helper()
	p.click("document.querySelector(" + quote(selector) + ")")
}

// Press clicks the button or link that is called by a text: its own, or its
// label. The innermost open dialog goes before the page.
func (p *Page) Press(text string) {
	p.t.Helper()
	p.click(fmt.Sprintf(`[...([...document.querySelectorAll('dialog[open]')].pop() ?? document).querySelectorAll('button, a, summary, [role=button]')]`+
		`.find(e => e.checkVisibility() && (e.innerText.trim() === %[1]s || e.getAttribute('aria-label') === %[1]s))`, quote(text)))
}

func (p *Page) click(element string) {
	t := p.t
	t.Helper()
	p.Wait(element + " && !(" + element + ").disabled")
	var at struct{ X, Y float64 }
	p.Eval(&at, "(e => { e.scrollIntoView({block: 'center', behavior: 'instant'}); const r = e.getClientRects()[0]; return {x: r.x + r.width / 2, y: r.y + r.height / 2} })("+element+")")
	for _, kind := range []string{"mousePressed", "mouseReleased"} {
		p.do(nil, "Input.dispatchMouseEvent", object{"type": kind, "x": at.X, "y": at.Y, "button": "left", "clickCount": 1})
	}
}

// Fill writes into the field with a label, as if typed.
func (p *Page) Fill(label, text string) {
	p.t.Helper()
	field := fmt.Sprintf(`[...([...document.querySelectorAll('dialog[open]')].pop() ?? document).querySelectorAll('input, textarea, select')]`+
		`.find(e => e.checkVisibility() && (e.labels?.[0]?.innerText.trim() === %[1]s || e.getAttribute('aria-label') === %[1]s))`, quote(label))
	p.Wait(field)
	p.Eval(nil, "(e => { e.focus(); e.select?.() })("+field+")")
	p.do(nil, "Input.insertText", object{"text": text})
}

// Key presses a key by its name, such as "Enter", "Tab", "ArrowDown".
func (p *Page) Key(name string) {
	p.t.Helper()
	codes := map[string]int{"Enter": 13, "Tab": 9, "Escape": 27, "ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40, "Home": 36, "End": 35, " ": 32}
	press := object{"type": "keyDown", "key": name, "code": name, "windowsVirtualKeyCode": codes[name]}
	switch name {
	case "Enter":
		press["text"] = "\r"
	case " ":
		press["text"], press["code"] = " ", "Space"
	}
	p.do(nil, "Input.dispatchKeyEvent", press)
	p.do(nil, "Input.dispatchKeyEvent", object{"type": "keyUp", "key": name, "code": press["code"], "windowsVirtualKeyCode": codes[name]})
}

// Shot writes a picture of the whole page to dir/name.png; nothing if dir is "".
func (p *Page) Shot(dir, name string) {
	t := p.t
	t.Helper()
	if dir == "" {
		return
	}
	var size struct{ W, H float64 }
	p.Eval(&size, "({w: document.documentElement.clientWidth, h: Math.min(document.documentElement.scrollHeight, 6000)})")
	var shot struct{ Data string }
	p.do(&shot, "Page.captureScreenshot", object{"format": "png", "captureBeyondViewport": true,
		"clip": object{"x": 0, "y": 0, "width": size.W, "height": size.H, "scale": 1}})
	data, err := base64.StdEncoding.DecodeString(shot.Data)
	must(t, err)
	must(t, os.WriteFile(filepath.Join(dir, name+".png"), data, 0o600))
}

// Overflow names what is wider than the window, "" when nothing is: a page that
// scrolls sideways on a phone.
func (p *Page) Overflow() string {
	p.t.Helper()
	var names []string
	p.Eval(&names, `document.documentElement.scrollWidth <= document.documentElement.clientWidth ? [] : [...document.querySelectorAll('body *')]
		.filter(e => e.getBoundingClientRect().right > document.documentElement.clientWidth + 1 && e.checkVisibility())
		.slice(0, 5).map(e => e.tagName + '.' + e.className + ' ' + (e.innerText ?? '').slice(0, 40))`)
	return strings.Join(names, "; ")
}

//go:embed looks.js
var looks string

// Looks lists what people who see little, or use the keyboard alone, cannot make
// out: text that stands out from its background by less than WCAG's AA asks for
// (4.5:1, large text 3:1), and controls that do not show that they have the focus.
func (p *Page) Looks() (contrast, focus []string) {
	p.t.Helper()
	p.Key("Tab") // what is focused now was reached by the keyboard, for the browser
	var found struct{ Contrast, Focus []string }
	p.Eval(&found, looks)
	return found.Contrast, found.Focus
}

func quote(s string) string {
	text, err := json.Marshal(s)
	if err != nil {
		panic(err) // a string has JSON
	}
	return string(text)
}

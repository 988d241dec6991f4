// SPDX-License-Identifier: Apache-2.0

package ws

import (
	"net/http"
	"runtime/debug"
)

// Outcome is what Upgrade made of the bytes so far.
type Outcome uint8

const (
	NeedMore  Outcome = iota // the header block is not complete
	Upgraded                 // the Driver is ready, the 101 is in the out-buffer
	PlainHTTP                // a request for something else than MQTT: the caller answers it
	Refused                  // the answer is in the out-buffer; close once it is out
)

// Result is one look at the request. Upgraded and PlainHTTP come with the request, and with the number of bytes
// of its header block: what lies behind it are frames, or the request's body.
type Result struct {
	Outcome  Outcome
	Consumed int
	Request  *http.Request
	Refusal  *Refusal // set when Refused
}

// Upgrade looks at in, everything the peer of a new connection has sent so
// far, and answers into out. Call it again with more until the outcome is not
// NeedMore, each time with the same in front. It retains neither in nor out.
//
// A request that asks for no WebSocket and for no path of this listener is not
// judged but returned, so that /status and the like can live on the same port.
//
// The deadline for the whole request is the caller's.
func (u *Upgrader) Upgrade(sh *Shared, d *Driver, in, out []byte) (Result, []byte) {
	res, method := u.read(d, in)
	if res.Outcome == Upgraded {
		res, out = u.accept(sh, d, res, out)
	}
	if res.Refusal != nil {
		res = Result{Outcome: Refused, Refusal: res.Refusal}
		out = res.Refusal.Append(out, method)
	}
	return res, out
}

// read parses the request and climbs the ladder. Outcome Upgraded means here
// that the upgrade may be granted.
func (u *Upgrader) read(d *Driver, in []byte) (res Result, method string) {
	if len(in) == 0 {
		return Result{}, ""
	}
	if r := notHTTP(in); r != nil {
		return Result{Refusal: r}, ""
	}
	end := headerEnd(in[:min(len(in), u.cfg.MaxHeader)], int(d.need))
	if end == 0 {
		if d.need = uint64(len(in)); len(in) < u.cfg.MaxHeader { // searched so far
			return Result{}, ""
		}
		return Result{Refusal: refuse(http.StatusRequestHeaderFieldsTooLarge, "header_too_large",
			"Request line and headers are too long: send fewer or shorter ones (cookies of the same host count).")}, ""
	}
	d.need = 0
	req, r := parseRequest(in[:end])
	if r != nil {
		return Result{Refusal: r}, ""
	}
	res = Result{Outcome: Upgraded, Consumed: end, Request: req}
	if !wantsUpgrade(req) && u.checkPath(req) != nil {
		// A page whose name was made to resolve to loopback must not get at
		// the other requests either.
		if r := u.checkHost(req); r != nil {
			return Result{Refusal: r}, req.Method
		}
		res.Outcome = PlainHTTP
		return res, req.Method
	}
	name, r := u.checkRequest(req)
	if r != nil {
		return Result{Refusal: r}, req.Method
	}
	// gorilla reads only the first of several lines and prefers our order to
	// the client's: leave it no choice.
	req.Header["Sec-Websocket-Protocol"] = []string{name}
	return res, req.Method
}

// accept lets gorilla write the 101 and sets d up for the frames.
func (u *Upgrader) accept(sh *Shared, d *Driver, res Result, out []byte) (granted Result, extended []byte) {
	size := len(out)
	defer func() {
		if p := recover(); p != nil { // library boundary: costs this connection only
			r := refuse(http.StatusInternalServerError, "panic", "The broker failed to upgrade this connection; its log says why.")
			r.Panic, r.Stack = p, debug.Stack()
			granted, extended = Result{Refusal: r}, out[:size]
		}
		sh.leave()
	}()
	deflate := u.cfg.Compression && offersDeflate(res.Request.Header)
	*d = Driver{cfg: &u.cfg, Trace: d.Trace}
	d.seat = &seat{d: d}
	sh.enter(d, out)
	if err := d.seat.upgrade(sh, &u.gorilla, res.Request); err != nil {
		return Result{Refusal: badRequest("upgrade", "The request is no WebSocket upgrade: "+err.Error()+".")}, out
	}
	d.deflate = deflate
	d.rise()
	return res, sh.out
}

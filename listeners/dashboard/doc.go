// SPDX-License-Identifier: Apache-2.0

// Package dashboard is the web page of the broker: what there is to see, and to
// break, in a browser. It is emqttd's plugin emqttd_dashboard; the menu keeps
// its order and #/websocket its address.
//
// The page is one document, one script and one style sheet, embedded in the
// program, with nothing from anywhere else: it works on a machine without a
// network. It speaks to /api/v1 on its own origin only. No actor belongs to it:
// a request is answered from memory, on the goroutine that net/http gave it.
//
// The sources are in web/ (TypeScript with Preact, bundled by esbuild), what is
// served is in dist/, committed, so that building the broker needs nothing but
// Go. After a change in web/, or a conflict in dist/:
//
//	go generate ./listeners/dashboard
//
// A page is one module in web/src/pages and one line in its index.ts.
package dashboard

//go:generate npm --prefix web ci
//go:generate npm --prefix web run build

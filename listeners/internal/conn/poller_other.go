// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package conn

func newPoller(l *Loop, _ bool) (poller, error) { return newPortable(l), nil }

// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// TestMain lets the test binary stand in for emqtt, which a comparison starts
// as the relay and as the generator.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "bench" {
		os.Exit(asEmqtt(os.Args[2], os.Args[3:]))
	}
	goleak.VerifyTestMain(m)
}

func asEmqtt(what string, args []string) int {
	if what == "relay" {
		if err := Relay(context.Background(), args[1], time.Minute, func(netip.AddrPort) {}); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return 0
	}
	url := args[slices.Index(args, "--url")+1]
	r, err := Run(context.Background(), Config{Scenario: what, URL: url, Messages: 1000, PID: os.Getpid()})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	if r == nil || r.JSON(os.Stdout) != nil || !r.OK {
		return 1
	}
	return 0
}

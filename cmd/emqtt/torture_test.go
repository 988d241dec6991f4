// SPDX-License-Identifier: Apache-2.0

package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTortureStaysOnThisMachine(t *testing.T) {
	for _, tt := range []struct {
		url      string
		anywhere bool
		says     string // "": it is fine
	}{
		{"mqtt://127.0.0.1:1883", false, ""},
		{"mqtt://u:p@localhost:1883", false, ""},
		{"mqtt://[::1]:1883", false, ""},
		{"mqtt://192.0.2.1:1883", false, "not on loopback"},
		{"mqtt://broker.example:1883", false, "not on loopback"},
		{"mqtt://broker.example:1883", true, ""},
		{"ws://127.0.0.1:8083", false, "has to be mqtt://"},
		{"mqtt://127.0.0.1", false, "has to be mqtt://"},
	} {
		o := &tortureOptions{url: tt.url, anywhere: tt.anywhere}
		err := o.target()
		if tt.says == "" {
			require.NoError(t, err, tt.url)
			continue
		}
		require.ErrorContains(t, err, tt.says, tt.url)
	}
}

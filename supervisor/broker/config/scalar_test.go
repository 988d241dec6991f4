// SPDX-License-Identifier: Apache-2.0

package config

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestSizesHaveUnits(t *testing.T) {
	for text, want := range map[string]Bytes{
		"0": 0, "512": 512, "512B": 512, "64KiB": 65536, "64kib": 65536, "1 MiB": 1 << 20, " 2GiB ": 2 << 30,
		"1TiB": 1 << 40, "10kB": 10_000, "10KB": 10_000, "1MB": 1_000_000, "3GB": 3_000_000_000, "1TB": 1e12,
		"9223372036854775807": 1<<63 - 1, "8388607TiB": 8388607 << 40,
	} {
		var got Bytes
		require.NoError(t, got.UnmarshalText([]byte(text)), text)
		require.Equal(t, want, got, text)
	}
	for _, text := range []string{"", "B", "-1", "1.5MiB", "1XiB", "0x10", "1e3", "9223372036854775808", "8388608TiB", "many"} {
		var got Bytes
		require.Error(t, got.UnmarshalText([]byte(text)), text)
	}
}

func TestSizesPrintInTheirLargestWholeUnit(t *testing.T) {
	for want, size := range map[string]Bytes{
		"0": 0, "1": 1, "1023": 1023, "1KiB": 1024, "1025": 1025, "64KiB": 65536, "1MiB": 1 << 20, "1536KiB": 1536 << 10, "2TiB": 2 << 40,
	} {
		require.Equal(t, want, size.String())
	}
}

func TestSizesAndDurationsReadBackWhatTheyPrint(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := Bytes(rapid.Int64Min(0).Draw(t, "size"))
		var back Bytes
		require.NoError(t, back.UnmarshalText([]byte(size.String())))
		require.Equal(t, size, back)

		d := time.Duration(rapid.Int64().Draw(t, "duration"))
		again, err := parseDuration(formatDuration(d))
		require.NoError(t, err)
		require.Equal(t, d, again)
	})
}

func TestDurationsPrintWithoutEmptyParts(t *testing.T) {
	for want, d := range map[string]time.Duration{
		"0s": 0, "10ms": 10 * time.Millisecond, "1m": time.Minute, "1m1s": 61 * time.Second, "10m": 10 * time.Minute,
		"1h": time.Hour, "48h": 48 * time.Hour, "1h1m": 61 * time.Minute, "1h0m1s": time.Hour + time.Second, "20s": 20 * time.Second,
		"-1h": -time.Hour,
	} {
		require.Equal(t, want, formatDuration(d))
	}
}

func TestDurationsMayBeDays(t *testing.T) {
	d, err := parseDuration("7d")
	require.NoError(t, err)
	require.Equal(t, 168*time.Hour, d)
	for _, bad := range []string{"", "d", "1.5d", "-1d", "106752d", "60", "1.5", "1 h", "1x"} {
		_, err := parseDuration(bad)
		require.Error(t, err, bad)
	}
	_, err = parseDuration("106751d") // the most that 64 bits of nanoseconds hold
	require.NoError(t, err)
}

func TestASecretPrintsAsAMask(t *testing.T) {
	s := struct{ Password Secret }{"geheim"}
	text, err := json.Marshal(s)
	require.NoError(t, err)
	for _, printed := range []string{fmt.Sprint(s), fmt.Sprintf("%+v %#v %s %q", s, s, s.Password, s.Password), string(text)} {
		require.NotContains(t, printed, "geheim")
		require.Contains(t, printed, mask)
	}
	require.Empty(t, Secret("").String(), "that there is none is no secret")
}

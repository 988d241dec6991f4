// SPDX-License-Identifier: Apache-2.0

package config

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Bytes is a size in bytes. Its text is a whole number with or without a unit:
// 512, 64KiB, 1MiB, 1GiB, 1TiB (powers of 1024) or kB, MB, GB, TB (of 1000).
type Bytes int64

const (
	KiB Bytes = 1 << 10
	MiB Bytes = 1 << 20
	GiB Bytes = 1 << 30
	TiB Bytes = 1 << 40
)

// byteUnits is in the order in which MarshalText tries them.
var byteUnits = []struct {
	name string
	size Bytes
}{
	{"TiB", TiB}, {"GiB", GiB}, {"MiB", MiB}, {"KiB", KiB},
	{"TB", 1e12}, {"GB", 1e9}, {"MB", 1e6}, {"kB", 1e3}, {"KB", 1e3}, {"B", 1},
}

var errBytes = errors.New("expected a size such as 512, 64KiB or 1MiB")

// UnmarshalText reads a size; the unit's case does not matter.
func (b *Bytes) UnmarshalText(text []byte) error {
	s, unit := strings.TrimSpace(string(text)), Bytes(1)
	for _, u := range byteUnits {
		if n := len(s) - len(u.name); n > 0 && strings.EqualFold(s[n:], u.name) {
			s, unit = strings.TrimSpace(s[:n]), u.size
			break
		}
	}
	n, err := strconv.ParseInt(s, 10, 64)
	switch {
	case errors.Is(err, strconv.ErrRange) || n > math.MaxInt64/int64(unit):
		return errors.New("the size is too large for 64 bits")
	case err != nil || n < 0:
		return errBytes
	}
	*b = Bytes(n) * unit
	return nil
}

// MarshalText writes the size in the largest binary unit that needs no fraction.
func (b Bytes) MarshalText() ([]byte, error) {
	for _, u := range byteUnits[:4] {
		if b != 0 && b%u.size == 0 {
			return fmt.Appendf(nil, "%d%s", b/u.size, u.name), nil
		}
	}
	return strconv.AppendInt(nil, int64(b), 10), nil
}

// String is the text of MarshalText.
func (b Bytes) String() string {
	text, _ := b.MarshalText()
	return string(text)
}

// Secret is a text that is never printed or logged.
type Secret string

// mask stands for a secret in everything the broker prints. Loading it is an
// error: a printed file would otherwise set the password to asterisks.
const mask = "********"

// String hides the secret from fmt and from log fields.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return mask
}

// GoString hides it from %#v as well.
func (s Secret) GoString() string { return strconv.Quote(s.String()) }

// MarshalText hides it from every encoder.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

var errDuration = errors.New("expected a duration such as 500ms, 30s, 5m, 48h or 7d")

// parseDuration reads what time.ParseDuration reads, and days.
func parseDuration(s string) (time.Duration, error) {
	if s == "0" {
		return 0, nil
	}
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 32)
		if err != nil || n > uint64(math.MaxInt64/(24*time.Hour)) {
			return 0, errDuration
		}
		return time.Duration(n) * 24 * time.Hour, nil
	}
	if _, err := strconv.ParseFloat(s, 64); err == nil {
		return 0, fmt.Errorf("a duration needs a unit, for example %ss", s)
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		return 0, errDuration
	}
	return d, nil
}

// formatDuration is Duration.String without its empty minutes and seconds:
// 48h, not 48h0m0s.
func formatDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

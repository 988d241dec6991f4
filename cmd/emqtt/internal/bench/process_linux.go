// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// processCPU is what a process has used, all its threads, to the nanosecond:
// Linux has a CPU clock per process, named by the complement of its number
// (clock_getcpuclockid(3)). /proc/PID/stat counts in 10 ms, which is a tenth of
// what an open loop of some seconds costs.
func processCPU(pid int) (time.Duration, error) {
	const schedClock = 2
	var ts unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|schedClock), &ts); err != nil {
		return 0, fmt.Errorf("CPU clock of process %d: %w", pid, err)
	}
	return time.Duration(ts.Nano()), nil
}

// processMemory is the resident set in bytes. smaps_rollup is exact; statm,
// for processes of others, may be off by some pages per thread.
func processMemory(pid int) (int64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err == nil {
		for line := range bytes.Lines(b) {
			if rest, ok := bytes.CutPrefix(line, []byte("Rss:")); ok {
				n, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(string(rest)), " kB"), 10, 64)
				return n << 10, err
			}
		}
	}
	if b, err = os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid)); err != nil {
		return 0, err
	}
	fields := strings.Fields(string(b))
	if len(fields) < 2 {
		return 0, fmt.Errorf("/proc/%d/statm: %q", pid, b)
	}
	n, err := strconv.ParseInt(fields[1], 10, 64)
	return n * int64(os.Getpagesize()), err
}

func ownCPU() time.Duration {
	d, _ := processCPU(os.Getpid()) // cannot fail
	return d
}

// enoughDescriptors refuses what cannot be: the runtime has raised the soft
// limit already.
func enoughDescriptors(n int) error {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("descriptor limit: %w", err)
	}
	const spare = 32
	if uint64(n)+spare > limit.Cur {
		return fmt.Errorf("%d connections need as many descriptors, and %d may be open (ulimit -n)", n, limit.Cur)
	}
	return nil
}

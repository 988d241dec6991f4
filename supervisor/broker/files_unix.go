// SPDX-License-Identifier: Apache-2.0

//go:build unix

package broker

import "syscall"

// maxFiles is how many files the process may have open, 0 if the system does not
// say. What the system counts with has another type on each.
func maxFiles() int64 {
	var r syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &r) != nil {
		return 0
	}
	return int64(r.Cur)
}

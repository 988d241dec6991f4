// SPDX-License-Identifier: Apache-2.0

//go:build unix

package torture

import (
	"os/exec"
	"syscall"
)

// lead makes the process of cmd the leader of a group of its own.
func lead(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// killGroup sends SIGKILL to the group; it may have ended by itself.
func killGroup(cmd *exec.Cmd) { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }

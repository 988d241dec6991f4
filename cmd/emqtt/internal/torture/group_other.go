// SPDX-License-Identifier: Apache-2.0

//go:build !unix

package torture

import "os/exec"

// Without process groups the process itself is killed.

func lead(*exec.Cmd) {}

func killGroup(cmd *exec.Cmd) { _ = cmd.Process.Kill() } // it may have ended by itself

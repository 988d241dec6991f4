// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package bench

import (
	"errors"
	"time"
)

var errNoProc = errors.New("the CPU and memory of another process are known on Linux only")

func processCPU(int) (time.Duration, error) { return 0, errNoProc }
func processMemory(int) (int64, error)      { return 0, errNoProc }
func ownCPU() time.Duration                 { return 0 }
func enoughDescriptors(int) error           { return nil }

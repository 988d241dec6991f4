// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package bench

func (t *target) driver(l *loop) (driver, error) { return newPipes(l), nil }

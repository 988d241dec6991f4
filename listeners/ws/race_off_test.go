// SPDX-License-Identifier: Apache-2.0

//go:build !race

package ws

const defaultStreams = 3000

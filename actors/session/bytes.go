// SPDX-License-Identifier: Apache-2.0

package session

import "unsafe"

// bytesOf is s as bytes, without a copy: for packets, which are only read.
func bytesOf(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }

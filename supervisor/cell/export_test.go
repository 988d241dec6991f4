// SPDX-License-Identifier: Apache-2.0

package cell

// Pages is the number of pages that the set holds.
func (s *IDs[K]) Pages() int { return s.held }

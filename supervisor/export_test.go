// SPDX-License-Identifier: Apache-2.0

package supervisor

import "emqttd/supervisor/cell"

// Remembered is how many crashes s remembers.
func (s *Supervisor) Remembered() int { return len(s.crashes) }

// ChildOf is the cell of child i.
func ChildOf(s *Supervisor, i int) *cell.Cell { return s.children[i].Cell }

// Places is how long the roster of s is, gaps included.
func Places(s *Supervisor) int { return len(s.roster.places) }

// MaxSpare is how many spare actors there may be.
const MaxSpare = maxSpare

// Spare is how many there are.
func Spare(s *Supervisor) int { return s.nursery.Spare() }

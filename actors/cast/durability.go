// SPDX-License-Identifier: Apache-2.0

package cast

// Durability is what an acknowledgement waits for.
type Durability uint8

const (
	// Synced: until what it promises is on the disk.
	Synced Durability = iota
	// Memory: for nothing. What it promises is written all the same, within a
	// second; a broker that is killed meanwhile has lost it, or sends it twice.
	Memory
)

// String is the level as the configuration writes it.
func (d Durability) String() string {
	if d == Memory {
		return "memory"
	}
	return "synced"
}

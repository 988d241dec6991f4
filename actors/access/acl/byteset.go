// SPDX-License-Identifier: Apache-2.0

package acl

// A byteSet holds the bytes that a topic may begin with. Most rules of a file
// speak of other topics than the one asked about, and this says so in one load.
type byteSet [4]uint64

// add adds the first byte of prefix; an empty prefix may be followed by any.
func (b *byteSet) add(prefix string) {
	if prefix == "" {
		*b = byteSet{^uint64(0), ^uint64(0), ^uint64(0), ^uint64(0)}
		return
	}
	b[prefix[0]>>6] |= 1 << (prefix[0] & 63)
}

// has reports whether topic may begin so; an empty topic is not ruled out.
func (b *byteSet) has(topic string) bool {
	return topic == "" || b[topic[0]>>6]>>(topic[0]&63)&1 != 0
}

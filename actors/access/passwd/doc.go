// SPDX-License-Identifier: Apache-2.0

// Package passwd checks passwords: hashes, password files and the built-in
// table of users. It is emqttd_auth_username, which kept MD5 sums with a salt
// of four bytes; here a password of our own making is argon2id, and the files
// of others are read with the hashes they have.
//
// Functions marked "expensive" take milliseconds to tenths of seconds of one
// core, and argon2id also its memory (19 MiB as we make it). They must not run
// on an event loop. Everything is safe for concurrent use, and nothing here is
// a process.
//
// Three things that a stranger must not learn:
//
//   - whether a password is nearly right: comparisons take constant time;
//   - whether a user exists: a check of an unknown one spends the time that a
//     known one would have (Decoy), and the answer is the same;
//   - a password from memory: the cache of successful checks keeps an HMAC under
//     a key of this process, never the password.
package passwd

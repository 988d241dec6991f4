// SPDX-License-Identifier: Apache-2.0

// Package access decides who comes in and what they may do: the chain of
// authentication, enhanced authentication, bans, and files that can be read
// again while the broker runs. Rules for topics are in access/acl, passwords in
// access/passwd, SCRAM in access/scram. It is emqttd_access_control and the
// emqttd_auth_ modules.
//
// In emqttd the chain was a list in an ETS table that one gen_server wrote, and
// was walked inside the client process. There is no process here either: all
// types are safe for concurrent use, and none starts a goroutine or keeps a
// clock. What may take longer than an event loop can wait is marked "expensive"
// and has a cheap twin, Try, that answers when the answer is at hand.
//
// Where emqttd was wrong:
//
//   - It went on serving a client whose CONNECT it had refused, and published
//     its will. A Verdict that is not OK ends the connection; see
//     actors/protocol.
//   - It took the user name of CONNECT for the name of the user, whoever had
//     checked it. Here a Verdict names the user that a link vouches for, and
//     rules see that name only.
//   - An unknown user ended the chain, so two tables of users could not stand
//     beside each other. Here a link that does not know a user lets the next
//     link speak; a wrong password is final.
package access

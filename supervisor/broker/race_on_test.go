// SPDX-License-Identifier: Apache-2.0

//go:build race

package broker_test

// underRace: the race detector costs ten times the time; there is less to do.
const underRace = true

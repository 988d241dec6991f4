// SPDX-License-Identifier: Apache-2.0

// The last minutes of the broker's figures, kept while the page is open, so that
// a line is there when one comes back to the overview.
import { on } from './events'
import { store } from './store'
import type { Stats } from './types'

/** room is how many seconds are kept. */
export const room = 180

/** history, oldest first; one entry a second. */
export const history = store<Stats[]>([])

on<Stats>('stats', (s) => history.set([...history.get(), s].slice(-room)))

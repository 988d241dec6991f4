// SPDX-License-Identifier: Apache-2.0

// Who is looking at the page.
import { get, post, Problem } from './api'
import { close, open } from './events'
import { store } from './store'

export interface Me {
  user: string
  role: 'viewer' | 'administrator'
  /** initial: still with the password that everybody knows. */
  initial: boolean
}

/** me: undefined until the first answer, null for nobody. */
export const me = store<Me | null | undefined>(undefined)
/** offline is why the first answer did not come. */
export const offline = store<unknown>(undefined)

export const admin = () => me.get()?.role === 'administrator'

export async function look() {
  offline.set(undefined)
  try {
    enter(await get<Me>('/session'))
  } catch (error) {
    if (error instanceof Problem && (error.status === 401 || error.status === 403)) leave()
    else offline.set(error)
  }
}

export async function login(name: string, password: string) {
  enter(await post<Me>('/login', { username: name, password }))
}

export async function logout() {
  await post('/logout').catch(() => {}) // a session that has ended cannot be ended
  leave()
}

function enter(who: Me) {
  me.set(who)
  open(again)
}

/** again is for a stream that was refused: who is logged in may have changed. */
async function again() {
  await look()
  if (offline.get() !== undefined) open(again)
}

export function leave() {
  close()
  me.set(null)
}

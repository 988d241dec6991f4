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
/** ended: the broker does not know the session any more, and nobody logged out. */
export const ended = store(false)

export const admin = () => me.get()?.role === 'administrator'

export async function look() {
  try {
    enter(await get<Me>('/session'))
  } catch (error) {
    if (error instanceof Problem && (error.status === 401 || error.status === 403)) end()
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
  offline.set(undefined)
  ended.set(false)
  me.set(who)
  open(again)
}

/** again is for a stream that was refused: who is logged in may have changed. */
async function again() {
  await look()
  if (offline.get() !== undefined) open(again)
}

/** end is for a session that the broker does not know: it has expired, or was ended elsewhere. */
export function end() {
  if (me.get()) ended.set(true)
  leave()
}

function leave() {
  close()
  offline.set(undefined)
  me.set(null)
}

// SPDX-License-Identifier: Apache-2.0

// A value that several components look at.
import { useEffect, useState } from 'preact/hooks'

export interface Store<T> {
  get(): T
  set(next: T): void
  /** subscribe calls f after each change; the result ends that. */
  subscribe(f: (value: T) => void): () => void
}

export function store<T>(initial: T): Store<T> {
  let value = initial
  const listeners = new Set<(value: T) => void>()
  return {
    get: () => value,
    set(next) {
      if (Object.is(next, value)) return
      value = next
      for (const f of [...listeners]) f(next)
    },
    subscribe(f) {
      listeners.add(f)
      return () => listeners.delete(f)
    },
  }
}

/** useStore is the store's value; the component is drawn again when it changes. */
export function useStore<T>(s: Store<T>): T {
  const [value, set] = useState(s.get())
  useEffect(() => {
    set(() => s.get())
    return s.subscribe((v) => set(() => v))
  }, [s])
  return value
}

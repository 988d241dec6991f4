// SPDX-License-Identifier: Apache-2.0

// Forms keep what was typed over a reload of the tab, passwords apart.
import { useState } from 'preact/hooks'

/** useKept is useState in the tab's memory; what `leave` names is not written down. */
export function useKept<T extends object>(name: string, initial: T, leave: (keyof T)[] = []): [T, (change: Partial<T>) => void] {
  const key = 'emqttd.microscope.' + name
  const [value, set] = useState<T>(() => {
    try {
      return { ...initial, ...(JSON.parse(sessionStorage.getItem(key) ?? '{}') as Partial<T>) }
    } catch {
      return initial
    }
  })
  const change = (part: Partial<T>) =>
    set((was) => {
      const next = { ...was, ...part }
      const kept: Partial<T> = { ...next }
      for (const k of leave) delete kept[k]
      sessionStorage.setItem(key, JSON.stringify(kept))
      return next
    })
  return [value, change]
}

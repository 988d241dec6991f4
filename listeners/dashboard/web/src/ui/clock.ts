// SPDX-License-Identifier: Apache-2.0

import { useEffect, useState } from 'preact/hooks'

/** useSecondsUntil counts the seconds down to a moment (ms since 1970); none: 0. */
export function useSecondsUntil(until: number | undefined): number {
  const left = () => (until === undefined ? 0 : Math.max(0, Math.ceil((until - Date.now()) / 1000)))
  const [seconds, set] = useState(left())
  useEffect(() => {
    set(left())
    if (left() === 0) return
    const timer = setInterval(() => {
      set(left())
      if (left() === 0) clearInterval(timer)
    }, 250)
    return () => clearInterval(timer)
  }, [until])
  return seconds
}

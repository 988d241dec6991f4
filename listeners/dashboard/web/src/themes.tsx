// SPDX-License-Identifier: Apache-2.0

import { useState } from 'preact/hooks'
import { Button } from './ui/basics'
import type { IconName } from './ui/icon'

const key = 'emqttd.theme' // theme.ts reads it before the first paint
const order = ['auto', 'light', 'dark'] as const
type Theme = (typeof order)[number]
const marks: Record<Theme, [icon: IconName, text: string]> = {
  auto: ['auto', 'Theme: as the system'],
  light: ['sun', 'Theme: light'],
  dark: ['moon', 'Theme: dark'],
}

const stored = (): Theme => {
  const value = localStorage.getItem(key)
  return value === 'light' || value === 'dark' ? value : 'auto'
}

/** ThemeToggle goes round: as the system, light, dark. */
export function ThemeToggle() {
  const [theme, setTheme] = useState(stored())
  const [icon, text] = marks[theme]
  const next = () => {
    const to = order[(order.indexOf(theme) + 1) % order.length]!
    if (to === 'auto') {
      localStorage.removeItem(key)
      delete document.documentElement.dataset.theme
    } else {
      localStorage.setItem(key, to)
      document.documentElement.dataset.theme = to
    }
    setTheme(to)
  }
  return <Button look="quiet" icon={icon} label={text} onClick={next} />
}

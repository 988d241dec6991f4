// SPDX-License-Identifier: Apache-2.0

// Short sentences about what was just done, read out to screen readers. At most
// four stand at once; each goes by itself, errors stay until they are put away.
import { sentence } from '../api'
import { visible } from '../format'
import { store, useStore } from '../store'
import { Button, type Tone } from './basics'

interface Toast {
  id: number
  tone: Tone
  text: string
}

const most = 4
const stay = 5000 // ms

const toasts = store<Toast[]>([])
let last = 0

export function toast(text: string, tone: Tone = 'ok') {
  const id = ++last
  toasts.set([...toasts.get(), { id, tone, text: visible(text) }].slice(-most))
  if (tone !== 'bad') setTimeout(() => dismiss(id), stay)
}

const dismiss = (id: number) => toasts.set(toasts.get().filter((t) => t.id !== id))

/** attempt does something and says how it went. */
export async function attempt(work: () => Promise<unknown>, done: string): Promise<boolean> {
  try {
    await work()
    toast(done)
    return true
  } catch (error) {
    toast(sentence(error), 'bad')
    return false
  }
}

export function Toasts() {
  const all = useStore(toasts)
  return (
    <div class="toasts" role="status" aria-live="polite">
      {all.map((t) => (
        <div key={t.id} class={'toast ' + t.tone}>
          <p>{t.text}</p>
          <Button look="quiet" small icon="close" label="Dismiss" onClick={() => dismiss(t.id)} />
        </div>
      ))}
    </div>
  )
}

// SPDX-License-Identifier: Apache-2.0

import { useState } from 'preact/hooks'
import { Problem, sentence } from './api'
import { ended, login } from './session'
import { useStore } from './store'
import { ThemeToggle } from './themes'
import { Button, Notice, TextField } from './ui/basics'
import { useSecondsUntil } from './ui/clock'

export function Login() {
  const [name, setName] = useState('')
  const [password, setPassword] = useState('')
  const [error, setError] = useState<unknown>()
  const left = useSecondsUntil(error instanceof Problem ? error.until : undefined)
  const [busy, setBusy] = useState(false)
  const send = async (e: Event) => {
    e.preventDefault()
    setBusy(true)
    setError(undefined)
    try {
      await login(name, password)
    } catch (failed) {
      setError(failed)
      setBusy(false)
    }
  }
  return (
    <main class="login">
      <form onSubmit={send}>
        <div class="brand">
          <img src="icon.svg" alt="" width="36" height="36" />
          <h1>emqttd</h1>
          <ThemeToggle />
        </div>
        {useStore(ended) && <Notice>Your session has ended. Log in to go on where you were.</Notice>}
        <TextField label="Name" name="username" autocomplete="username" autofocus required value={name} onValue={setName} />
        <TextField
          label="Password"
          name="password"
          type="password"
          autocomplete="current-password"
          required
          value={password}
          onValue={setPassword}
        />
        {error !== undefined && (
          <p class="error" role="alert">
            {said(error)}
            {until(error) && <span aria-live="off"> {left > 0 ? `You can try again in ${left} s.` : 'You can try again now.'}</span>}
          </p>
        )}
        <Button type="submit" look="primary" disabled={busy || left > 0}>
          Log in
        </Button>
        <p class="hint">
          A new broker knows <code>admin</code> with the password <code>public</code>, from this machine only, until you
          change it.
        </p>
      </form>
    </main>
  )
}

const until = (error: unknown): boolean => error instanceof Problem && error.until !== undefined

function said(error: unknown): string {
  if (!(error instanceof Problem)) return sentence(error)
  if (error.status === 429 && error.detail) return 'There were too many wrong passwords from here, or for this name.'
  return error.status === 401 && !error.detail ? 'Wrong name or password.' : sentence(error)
}

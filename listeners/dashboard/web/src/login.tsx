// SPDX-License-Identifier: Apache-2.0

import { useState } from 'preact/hooks'
import { Problem, sentence } from './api'
import { login } from './session'
import { ThemeToggle } from './themes'
import { Button, TextField } from './ui/basics'

export function Login() {
  const [name, setName] = useState('')
  const [password, setPassword] = useState('')
  const [error, setError] = useState<string>()
  const [busy, setBusy] = useState(false)
  const send = async (e: Event) => {
    e.preventDefault()
    setBusy(true)
    setError(undefined)
    try {
      await login(name, password)
    } catch (failed) {
      setError(failed instanceof Problem && failed.status === 401 && !failed.detail ? 'Wrong name or password.' : sentence(failed))
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
        {error && (
          <p class="error" role="alert">
            {error}
          </p>
        )}
        <Button type="submit" look="primary" disabled={busy}>
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

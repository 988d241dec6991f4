// SPDX-License-Identifier: Apache-2.0

// The person's own account: name, role, and the password.
import { useState } from 'preact/hooks'
import { put } from './api'
import { look, me } from './session'
import { useStore } from './store'
import { Button, TextField } from './ui/basics'
import { FormDialog } from './ui/dialog'
import { toast } from './ui/toast'

export function Account() {
  const who = useStore(me)
  const [open, setOpen] = useState(false)
  if (!who) return null
  return (
    <>
      <Button look="quiet" icon="users" title={`Logged in as ${who.user}, ${who.role}. Change the password`} onClick={() => setOpen(true)}>
        <span class="who">{who.user}</span>
      </Button>
      {open && <PasswordDialog onClose={() => setOpen(false)} />}
    </>
  )
}

export function PasswordDialog({ onClose }: { onClose: () => void }) {
  const [current, setCurrent] = useState('')
  const [next, setNext] = useState('')
  const [again, setAgain] = useState('')
  const differs = again !== '' && again !== next
  const submit = async () => {
    await put('/password', { old_password: current, new_password: next })
    toast('The password is changed.')
    await look()
  }
  return (
    <FormDialog title="Change your password" action="Change" disabled={differs} submit={submit} onClose={onClose}>
      <TextField label="Present password" type="password" autocomplete="current-password" required value={current} onValue={setCurrent} />
      <TextField label="New password" type="password" autocomplete="new-password" required minLength={8} value={next} onValue={setNext} />
      <TextField
        label="New password again"
        type="password"
        autocomplete="new-password"
        required
        value={again}
        onValue={setAgain}
        hint={differs ? 'The two differ.' : undefined}
      />
    </FormDialog>
  )
}

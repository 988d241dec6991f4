// SPDX-License-Identifier: Apache-2.0

// What everyone on every page has to know.
import { useState } from 'preact/hooks'
import { PasswordDialog } from './account'
import { me } from './session'
import { useStore } from './store'
import { Button } from './ui/basics'
import { Icon } from './ui/icon'

export function Banner() {
  const who = useStore(me)
  const [open, setOpen] = useState(false)
  if (!who?.initial) return null
  return (
    <div class="banner warn">
      <Icon name="key" />
      <p>You use the password that every new broker has.</p>
      <Button small onClick={() => setOpen(true)}>
        Change it
      </Button>
      {open && <PasswordDialog onClose={() => setOpen(false)} />}
    </div>
  )
}

// SPDX-License-Identifier: Apache-2.0

// What everyone on every page has to know.
import { useState } from 'preact/hooks'
import { PasswordDialog } from './account'
import { useResource } from './api'
import { plural } from './format'
import { link } from './router'
import { me } from './session'
import { useStore } from './store'
import type { ChaosState } from './types'
import { Button } from './ui/basics'
import { Icon } from './ui/icon'

export const Banner = () => (
  <>
    <Chaos />
    <FirstPassword />
  </>
)

function Chaos() {
  const { data } = useResource<ChaosState>('/chaos', 2000)
  if (!data?.enabled) return null
  return (
    <div class="banner bad" role="status">
      <Icon name="crash" />
      <p>
        {data.running
          ? 'An experiment runs: actors crash on purpose.'
          : data.faults.length > 0
            ? `${plural(data.faults.length, 'fault is', 'faults are')} armed: actors crash on purpose.`
            : 'Chaos is enabled: administrators may crash actors on purpose.'}{' '}
        <a href={link('crash_lab')}>Crash lab</a>
      </p>
    </div>
  )
}

function FirstPassword() {
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

// SPDX-License-Identifier: Apache-2.0

// What an administrator does to a client, wherever it is shown.
import { del, segment } from '../api'
import { Code } from '../ui/basics'
import { ask } from '../ui/dialog'
import { toast } from '../ui/toast'

export function kick(id: string, done: () => void) {
  ask({
    title: 'Disconnect this client?',
    body: (
      <p>
        <Code>{id}</Code> is disconnected at once and may connect again. To keep it out, ban it.
      </p>
    ),
    action: 'Disconnect',
    danger: true,
    submit: async () => {
      await del('/clients/' + segment(id))
      toast(`${id} was disconnected.`)
      done()
    },
  })
}

// SPDX-License-Identifier: Apache-2.0

// Who may use this page and its interface. emqttd called them admins.
import { useState } from 'preact/hooks'
import { del, patch, post, segment, useResource } from '../api'
import { age, time } from '../format'
import { me } from '../session'
import { useStore } from '../store'
import type { APIKey, User } from '../types'
import { Badge, Button, Code, Empty, Failure, Loading, Panel, SelectField, TextField } from '../ui/basics'
import { ask, Dialog, FormDialog } from '../ui/dialog'
import { Rows } from '../ui/table'
import { toast } from '../ui/toast'
import type { Page } from './page'

const roles = [
  ['viewer', 'Viewer: looks'],
  ['administrator', 'Administrator: looks and changes'],
] as const
type Role = (typeof roles)[number][0]

const RoleBadge = ({ role }: { role: string }) => <Badge tone={role === 'administrator' ? 'info' : 'plain'}>{role}</Badge>

const Users = () => (
  <>
    <UserPanel />
    <KeyPanel />
  </>
)

function UserPanel() {
  const own = useStore(me)
  const { data, error, reload } = useResource<User[]>('/users')
  const [dialog, setDialog] = useState<User | 'new'>()
  const close = () => {
    setDialog(undefined)
    reload()
  }
  const remove = (u: User) =>
    ask({
      title: 'Delete this user?',
      body: (
        <p>
          <Code>{u.name}</Code> is logged out everywhere and cannot log in again.
        </p>
      ),
      action: 'Delete',
      danger: true,
      submit: async () => {
        await del('/users/' + segment(u.name))
        toast(`${u.name} is deleted.`)
        reload()
      },
    })
  const actions = (u: User) =>
    u.configured ? null : (
      <>
        <Button small onClick={() => setDialog(u)}>
          Change
        </Button>
        <Button small look="quiet" icon="trash" label={`Delete ${u.name}`} disabled={u.name === own?.user} onClick={() => remove(u)} />
      </>
    )
  return (
    <Panel
      title="Users"
      flush
      actions={
        <Button small icon="plus" onClick={() => setDialog('new')}>
          Add a user
        </Button>
      }
    >
      {!data && (error === undefined ? <Loading /> : <Failure error={error} retry={reload} />)}
      {data && (
        <Rows
          label="Users"
          rowKey={(u) => u.name}
          rows={data}
          actions={actions}
          columns={[
            {
              key: 'name',
              title: 'Name',
              main: true,
              cell: (u) => (
                <span class="badges">
                  {u.name}
                  {u.name === own?.user && <Badge>you</Badge>}
                  {u.initial && <Badge tone="warn">has the first password</Badge>}
                  {u.configured && <Badge title="Change it there">from the configuration</Badge>}
                </span>
              ),
            },
            { key: 'role', title: 'Role', cell: (u) => <RoleBadge role={u.role} /> },
            { key: 'since', title: 'Since', cell: (u) => <span title={time(u.created_at)}>{age(u.created_at)} ago</span> },
          ]}
        />
      )}
      {dialog && <UserDialog user={dialog === 'new' ? undefined : dialog} onClose={close} />}
    </Panel>
  )
}

function UserDialog({ user, onClose }: { user?: User; onClose: () => void }) {
  const [name, setName] = useState('')
  const [role, setRole] = useState<Role>(user?.role ?? 'viewer')
  const [password, setPassword] = useState('')
  const submit = async () => {
    if (user) {
      await patch('/users/' + segment(user.name), { role: role === user.role ? undefined : role, password: password || undefined })
      toast(`${user.name} is changed.`)
    } else {
      await post('/users', { name, role, password })
      toast(`${name} may log in now.`)
    }
  }
  const unchanged = user !== undefined && role === user.role && password === ''
  return (
    <FormDialog
      title={user ? `Change ${user.name}` : 'Add a user'}
      action={user ? 'Change' : 'Add'}
      disabled={unchanged}
      submit={submit}
      onClose={onClose}
    >
      {!user && <TextField label="Name" required autofocus value={name} onValue={setName} />}
      <SelectField label="Role" value={role} options={roles} onValue={setRole} />
      <TextField
        label={user ? 'New password' : 'Password'}
        type="password"
        autocomplete="new-password"
        required={!user}
        value={password}
        onValue={setPassword}
        hint={user ? 'Leave it empty to keep the present one.' : undefined}
      />
    </FormDialog>
  )
}

function KeyPanel() {
  const { data, error, reload } = useResource<APIKey[]>('/api_keys')
  const [adding, setAdding] = useState(false)
  const [made, setMade] = useState<string>()
  const revoke = (k: APIKey) =>
    ask({
      title: 'Revoke this key?',
      body: (
        <p>
          Programs that use <Code>{k.name}</Code> are refused from now on.
        </p>
      ),
      action: 'Revoke',
      danger: true,
      submit: async () => {
        await del('/api_keys/' + segment(k.id))
        toast('The key is revoked.')
        reload()
      },
    })
  return (
    <Panel
      title="API keys"
      flush
      actions={
        <Button small icon="plus" onClick={() => setAdding(true)}>
          Make a key
        </Button>
      }
    >
      {!data && (error === undefined ? <Loading /> : <Failure error={error} retry={reload} />)}
      {data?.length === 0 && (
        <Empty icon="key">
          There is no key. A program sends one as <code>Authorization: Bearer KEY</code> and needs no user.
        </Empty>
      )}
      {data && data.length > 0 && (
        <Rows
          label="API keys"
          rowKey={(k) => k.id}
          rows={data}
          columns={[
            { key: 'name', title: 'For', main: true, cell: (k) => k.name },
            { key: 'id', title: 'ID', cell: (k) => <Code>{k.id}</Code> },
            { key: 'role', title: 'Role', cell: (k) => <RoleBadge role={k.role} /> },
            { key: 'by', title: 'Made by', cell: (k) => k.created_by },
            { key: 'since', title: 'Since', cell: (k) => <span title={time(k.created_at)}>{age(k.created_at)} ago</span> },
            { key: 'until', title: 'Until', cell: (k) => (k.expires_at ? time(k.expires_at) : 'it is revoked') },
          ]}
          actions={(k) => <Button small look="quiet" icon="trash" label={`Revoke ${k.name}`} onClick={() => revoke(k)} />}
        />
      )}
      {adding && (
        <KeyDialog
          made={setMade}
          onClose={() => {
            setAdding(false)
            reload()
          }}
        />
      )}
      {made !== undefined && <Secret text={made} onClose={() => setMade(undefined)} />}
    </Panel>
  )
}

const spans = [
  ['30', '30 days'],
  ['90', '90 days'],
  ['365', '1 year'],
  ['', 'until it is revoked'],
] as const

function KeyDialog({ made, onClose }: { made: (secret: string) => void; onClose: () => void }) {
  const [name, setName] = useState('')
  const [role, setRole] = useState<Role>('viewer')
  const [days, setDays] = useState<(typeof spans)[number][0]>('90')
  const submit = async () => {
    const expires_at = days === '' ? undefined : new Date(Date.now() + Number(days) * 86400_000).toISOString()
    made((await post<{ key: string }>('/api_keys', { name, role, expires_at })).key)
  }
  return (
    <FormDialog title="Make an API key" action="Make it" submit={submit} onClose={onClose}>
      <TextField label="What it is for" required autofocus value={name} onValue={setName} />
      <SelectField label="Role" value={role} options={roles} onValue={setRole} />
      <SelectField label="Valid for" value={days} options={spans} onValue={setDays} />
    </FormDialog>
  )
}

/** Secret shows a new key, once. */
function Secret({ text, onClose }: { text: string; onClose: () => void }) {
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text)
      toast('Copied.')
    } catch {
      toast('The browser does not let the page copy: select the key yourself.', 'bad')
    }
  }
  return (
    <Dialog title="Your new key" onClose={onClose}>
      <div class="body">
        <p>It is shown this once. The broker keeps only a sum of it.</p>
        <pre class="secret" tabIndex={0}>
          {text}
        </pre>
      </div>
      <footer>
        <Button icon="copy" onClick={copy}>
          Copy
        </Button>
        <Button look="primary" onClick={onClose}>
          Done
        </Button>
      </footer>
    </Dialog>
  )
}

export const users: Page = {
  id: 'users',
  title: 'Users & API keys',
  about: 'Who may log in to this page, and the keys of programs.',
  group: 'Manage',
  icon: 'users',
  admin: true,
  view: Users,
}

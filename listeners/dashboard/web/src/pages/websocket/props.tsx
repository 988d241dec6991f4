// SPDX-License-Identifier: Apache-2.0

// Properties of 5.0: a name out of those that may stand here, and a value.
import { Button, SelectField, TextField } from '../../ui/basics'

export interface Prop {
  name: string
  value: string
}

type Kind = 'number' | 'text' | 'pair'

const kinds: Record<string, Kind> = {
  'payload format indicator': 'number',
  'message expiry interval': 'number',
  'content type': 'text',
  'response topic': 'text',
  'correlation data': 'text',
  'subscription identifier': 'number',
  'session expiry interval': 'number',
  'authentication method': 'text',
  'authentication data': 'text',
  'request problem information': 'number',
  'will delay interval': 'number',
  'request response information': 'number',
  'reason string': 'text',
  'receive maximum': 'number',
  'topic alias maximum': 'number',
  'topic alias': 'number',
  'maximum packet size': 'number',
  'user property': 'pair',
}

/** places say which properties a packet, or the will, may carry [v5 2.2.2.2]. */
const places: Record<string, string[]> = {
  CONNECT: [
    'session expiry interval',
    'receive maximum',
    'maximum packet size',
    'topic alias maximum',
    'request response information',
    'request problem information',
    'user property',
    'authentication method',
    'authentication data',
  ],
  will: ['will delay interval', 'payload format indicator', 'message expiry interval', 'content type', 'response topic', 'correlation data', 'user property'],
  PUBLISH: ['payload format indicator', 'message expiry interval', 'topic alias', 'response topic', 'correlation data', 'user property', 'content type'],
  SUBSCRIBE: ['subscription identifier', 'user property'],
  UNSUBSCRIBE: ['user property'],
  DISCONNECT: ['session expiry interval', 'reason string', 'user property'],
}

/** encode writes properties as the broker reads them. */
export function encode(props: Prop[]): Record<string, unknown> {
  const out: Record<string, unknown> = {}
  for (const { name, value } of props) {
    if (kinds[name] === 'number') out[name] = Number(value)
    else if (kinds[name] === 'text') out[name] = value
    else {
      const [key = '', ...rest] = value.split('=')
      out[name] = [...((out[name] as string[][] | undefined) ?? []), [key.trim(), rest.join('=').trim()]]
    }
  }
  return out
}

export function Properties({ place, props, onProps }: { place: string; props: Prop[]; onProps: (props: Prop[]) => void }) {
  const names = places[place] ?? []
  const free = names.filter((n) => n === 'user property' || !props.some((p) => p.name === n))
  const change = (i: number, part: Partial<Prop>) => onProps(props.map((p, k) => (k === i ? { ...p, ...part } : p)))
  return (
    <fieldset class="props wide">
      <legend>{place === 'will' ? 'Properties of the will' : 'Properties'}</legend>
      {props.map((p, i) => (
        <div class="prop" key={i}>
          <SelectField
            label="Property"
            value={p.name}
            onValue={(name) => change(i, { name })}
            options={names.filter((n) => n === p.name || free.includes(n)).map((n) => [n, n] as const)}
          />
          <TextField
            label={kinds[p.name] === 'pair' ? 'Name = value' : 'Value'}
            type={kinds[p.name] === 'number' ? 'number' : 'text'}
            value={p.value}
            onValue={(value) => change(i, { value })}
          />
          <Button look="quiet" icon="trash" label={`Remove ${p.name}`} onClick={() => onProps(props.filter((_, k) => k !== i))} />
        </div>
      ))}
      {free[0] !== undefined && (
        <Button small icon="plus" onClick={() => onProps([...props, { name: free[0] ?? '', value: '' }])}>
          Add a property
        </Button>
      )}
    </fieldset>
  )
}

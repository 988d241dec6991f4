// SPDX-License-Identifier: Apache-2.0

// Small parts that every page is made of.
import type { ComponentChildren } from 'preact'
import { useId } from 'preact/hooks'
import { Problem, sentence } from '../api'
import { visible } from '../format'
import { useSecondsUntil } from './clock'
import { Icon, type IconName } from './icon'

export type Tone = 'plain' | 'ok' | 'warn' | 'bad' | 'info'

interface ButtonProps {
  children?: ComponentChildren
  icon?: IconName
  /** look: primary once per view; danger for what cannot be undone. */
  look?: 'plain' | 'primary' | 'danger' | 'quiet'
  small?: boolean
  type?: 'button' | 'submit'
  disabled?: boolean
  title?: string
  /** label names a button that has an icon only. */
  label?: string
  pressed?: boolean
  id?: string
  onClick?: (e: MouseEvent) => void
}

export function Button({ children, icon, look = 'plain', small, type = 'button', label, pressed, ...rest }: ButtonProps) {
  const name = ['button', look, small && 'small', !children && 'square'].filter(Boolean).join(' ')
  return (
    <button type={type} class={name} aria-label={label} aria-pressed={pressed} {...rest} title={rest.title ?? label}>
      {icon && <Icon name={icon} size={small ? 15 : 17} />}
      {children}
    </button>
  )
}

/** Badge is a word about a state; never colour alone. */
export function Badge({ tone = 'plain', children, title }: { tone?: Tone; children: ComponentChildren; title?: string }) {
  return (
    <span class={'badge ' + tone} title={title}>
      {children}
    </span>
  )
}

export function Panel(props: {
  title?: ComponentChildren
  actions?: ComponentChildren
  children?: ComponentChildren
  /** flush: the contents reach the edges, as tables do. */
  flush?: boolean
}) {
  const id = useId()
  return (
    <section class={'panel' + (props.flush ? ' flush' : '')} aria-labelledby={props.title ? id : undefined}>
      {(props.title || props.actions) && (
        <header>
          {props.title && <h2 id={id}>{props.title}</h2>}
          {props.actions && <div class="actions">{props.actions}</div>}
        </header>
      )}
      {props.children}
    </section>
  )
}

/** Empty says in a sentence why there is nothing to see, and what to do. */
export function Empty({ icon = 'info', children }: { icon?: IconName; children: ComponentChildren }) {
  return (
    <div class="empty">
      <Icon name={icon} size={22} />
      <p>{children}</p>
    </div>
  )
}

/** Failure says what went wrong, and when the page asks again by itself. */
export function Failure({ error, retry }: { error: unknown; retry?: () => void }) {
  const left = useSecondsUntil(error instanceof Problem ? error.until : undefined)
  return (
    <div class="notice bad" role="alert">
      <Icon name="alarms" />
      <p>
        {sentence(error)}
        {left > 0 && <span aria-live="off"> The page asks again in {left} s.</span>}
      </p>
      {retry && (
        <Button small onClick={retry}>
          Try again
        </Button>
      )}
    </div>
  )
}

export function Notice({ tone = 'info', children }: { tone?: Tone; children: ComponentChildren }) {
  return (
    <div class={'notice ' + tone}>
      <Icon name={tone === 'bad' || tone === 'warn' ? 'alarms' : 'info'} />
      <p>{children}</p>
    </div>
  )
}

export const Loading = () => (
  <div class="empty" role="status">
    <p>Loading …</p>
  </div>
)

/** Facts is a list of names and values. */
export function Facts({ rows }: { rows: [name: string, value: ComponentChildren, title?: string][] }) {
  return (
    <dl class="facts">
      {rows.map(([name, value, title]) => (
        <div key={name} title={title}>
          <dt>{name}</dt>
          <dd>{value ?? '–'}</dd>
        </div>
      ))}
    </dl>
  )
}

interface FieldProps {
  label: string
  hint?: ComponentChildren
  /** wide takes the whole row of a form. */
  wide?: boolean
  children: (id: string) => ComponentChildren
}

/** Field joins a label, an input and a hint. */
export function Field({ label, hint, wide, children }: FieldProps) {
  const id = useId()
  return (
    <div class={'field' + (wide ? ' wide' : '')}>
      <label for={id}>{label}</label>
      {children(id)}
      {hint && <p class="hint">{hint}</p>}
    </div>
  )
}

interface InputProps {
  label: string
  hint?: ComponentChildren
  wide?: boolean
  value: string
  onValue: (value: string) => void
  type?: 'text' | 'password' | 'number' | 'url'
  name?: string
  autocomplete?: 'off' | 'username' | 'current-password' | 'new-password'
  placeholder?: string
  required?: boolean
  autofocus?: boolean
  disabled?: boolean
  min?: number
  max?: number
  minLength?: number
  maxLength?: number
}

export function TextField({ label, hint, wide, value, onValue, ...rest }: InputProps) {
  return (
    <Field label={label} hint={hint} wide={wide}>
      {(id) => (
        <input
          {...rest}
          id={id}
          type={(rest.type ?? 'text') as 'text'} // the types pair each type with its roles; here none is set
          autocomplete={rest.autocomplete ?? 'off'}
          spellcheck={false}
          value={value}
          onInput={(e) => onValue(e.currentTarget.value)}
        />
      )}
    </Field>
  )
}

export function SelectField<T extends string>(props: {
  label: string
  hint?: ComponentChildren
  wide?: boolean
  value: T
  options: readonly (readonly [value: T, text: string])[]
  onValue: (value: T) => void
}) {
  return (
    <Field label={props.label} hint={props.hint} wide={props.wide}>
      {(id) => (
        <select id={id} value={props.value} onChange={(e) => props.onValue(e.currentTarget.value as T)}>
          {props.options.map(([value, text]) => (
            <option key={value} value={value}>
              {text}
            </option>
          ))}
        </select>
      )}
    </Field>
  )
}

export function Check({ label, checked, onValue }: { label: string; checked: boolean; onValue: (on: boolean) => void }) {
  return (
    <label class="check">
      <input type="checkbox" checked={checked} onChange={(e) => onValue(e.currentTarget.checked)} />
      <span>{label}</span>
    </label>
  )
}

/** Segments chooses one of a few, as radio buttons do. */
export function Segments<T extends string>(props: {
  label: string
  value: T
  options: readonly (readonly [value: T, text: string])[]
  onValue: (value: T) => void
}) {
  return (
    <div class="segments" role="group" aria-label={props.label}>
      {props.options.map(([value, text]) => (
        <button key={value} type="button" aria-pressed={value === props.value} onClick={() => props.onValue(value)}>
          {text}
        </button>
      ))}
    </div>
  )
}

/** Code is text as it stands: identifiers, topics, bytes. */
export function Code({ children, title }: { children: ComponentChildren; title?: string }) {
  const shown = typeof children === 'string' ? visible(children) : children
  return <code title={title ?? (typeof shown === 'string' ? shown : undefined)}>{shown}</code>
}

/** Named is a name that somebody chose, cut in a table where it is long. */
export const Named = ({ name }: { name: string }) => (
  <span class="named" title={visible(name)}>
    {visible(name)}
  </span>
)

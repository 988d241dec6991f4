// SPDX-License-Identifier: Apache-2.0

// Dialogs are the browser's own modal ones: they keep the focus, close on
// Escape and give the focus back.
import type { ComponentChildren } from 'preact'
import { useEffect, useId, useRef, useState } from 'preact/hooks'
import { sentence } from '../api'
import { store, useStore } from '../store'
import { Button } from './basics'

interface DialogProps {
  title: string
  children: ComponentChildren
  /** onClose is told that the dialog was put away, by whatever means. */
  onClose: () => void
  wide?: boolean
}

export function Dialog({ title, children, onClose, wide }: DialogProps) {
  const ref = useRef<HTMLDialogElement>(null)
  const id = useId()
  useEffect(() => {
    const before = document.activeElement as HTMLElement | null
    ref.current?.showModal()
    return () => before?.isConnected && before.focus()
  }, [])
  return (
    <dialog ref={ref} class={wide ? 'wide' : undefined} aria-labelledby={id} onClose={onClose}>
      <header>
        <h2 id={id}>{title}</h2>
        <Button look="quiet" icon="close" label="Close" onClick={() => ref.current?.close()} />
      </header>
      {children}
    </dialog>
  )
}

interface FormDialogProps extends DialogProps {
  action: string
  danger?: boolean
  disabled?: boolean
  /** submit does the work; the dialog closes when it succeeds. */
  submit: () => Promise<unknown>
}

/** FormDialog asks for something and does it. An error is shown in place. */
export function FormDialog({ action, danger, disabled, submit, children, ...rest }: FormDialogProps) {
  const [error, setError] = useState<unknown>()
  const [busy, setBusy] = useState(false)
  const send = async (e: Event) => {
    e.preventDefault()
    setBusy(true)
    setError(undefined)
    try {
      await submit()
      rest.onClose()
    } catch (failed) {
      setError(failed)
      setBusy(false)
    }
  }
  return (
    <Dialog {...rest}>
      <form onSubmit={send}>
        <div class="body">{children}</div>
        {error !== undefined && (
          <p class="error" role="alert">
            {sentence(error)}
          </p>
        )}
        <footer>
          <Button onClick={rest.onClose}>Cancel</Button>
          <Button type="submit" look={danger ? 'danger' : 'primary'} disabled={busy || disabled}>
            {action}
          </Button>
        </footer>
      </form>
    </Dialog>
  )
}

interface Question {
  title: string
  body: ComponentChildren
  action: string
  danger?: boolean
  submit: () => Promise<unknown>
}

const question = store<Question | undefined>(undefined)

/** ask shows a dialog and, once agreed to, does submit. */
export const ask = (q: Question) => question.set(q)

/** Asker stands once in the shell and shows what ask asks; whoever logs in next is not asked it. */
export function Asker() {
  const q = useStore(question)
  useEffect(() => () => question.set(undefined), [])
  if (!q) return null
  return (
    <FormDialog
      title={q.title}
      action={q.action}
      danger={q.danger}
      submit={q.submit}
      onClose={() => question.get() === q && question.set(undefined)}
    >
      {q.body}
    </FormDialog>
  )
}

// SPDX-License-Identifier: Apache-2.0

// The shell: who is logged in, the menu, the header, and the page of the day.
import { useEffect, useRef, useState } from 'preact/hooks'
import { Problem, unauthorised } from './api'
import { line, type Line } from './events'
import { Login } from './login'
import { Account } from './account'
import { type Page, pages } from './pages'
import { link, useRoute } from './router'
import { admin, end, look, logout, me, offline } from './session'
import { useStore } from './store'
import { ThemeToggle } from './themes'
import { Button, Empty, Failure, Loading } from './ui/basics'
import { Asker } from './ui/dialog'
import { Icon } from './ui/icon'
import { Toasts } from './ui/toast'
import { Banner } from './banner'

export function App() {
  const who = useStore(me)
  const reason = useStore(offline)
  useEffect(() => {
    void look()
    return unauthorised.subscribe(end)
  }, [])
  return (
    <>
      {who ? <Shell /> : who === null ? <Login /> : reason !== undefined ? <Waiting error={reason} /> : <Loading />}
      <Toasts />
    </>
  )
}

const pause = 2000 // ms between two attempts to find the broker

/** Waiting is there until the first answer comes; it looks again by itself. */
function Waiting({ error }: { error: unknown }) {
  useEffect(() => {
    const until = (error instanceof Problem && error.until) || 0
    const timer = setTimeout(look, Math.max(pause, until - Date.now()))
    return () => clearTimeout(timer)
  }, [error])
  return (
    <main class="alone">
      <Failure error={error} retry={look} />
    </main>
  )
}

function Shell() {
  const route = useRoute()
  const [drawer, setDrawer] = useState(false)
  const main = useRef<HTMLElement>(null)
  const page = pages.find((p) => p.id === route.page)
  const title = page?.title ?? 'Not found'
  const place = [route.page, ...route.rest].join('/')
  const first = useRef(true)
  useEffect(() => {
    document.title = title + ' · emqttd'
    setDrawer(false)
    if (first.current) first.current = false
    else {
      main.current?.focus({ preventScroll: true })
      scrollTo(0, 0)
    }
  }, [place])
  return (
    <div class={'shell' + (drawer ? ' drawer' : '')} onKeyDown={(e) => e.key === 'Escape' && setDrawer(false)}>
      <a
        class="skip"
        href="#main"
        onClick={(e) => {
          e.preventDefault()
          main.current?.focus()
        }}
      >
        Skip to the page
      </a>
      <Menu current={route.page} />
      <div class="veil" onClick={() => setDrawer(false)} />
      <div class="stage">
        <header class="top">
          <span class="burger">
            <Button look="quiet" icon="menu" label="Menu" pressed={drawer} onClick={() => setDrawer(!drawer)} />
          </span>
          <h1>{title}</h1>
          <LineMark />
          <ThemeToggle />
          <Account />
          <Button look="quiet" icon="logout" label="Log out" onClick={logout} />
        </header>
        <Banner />
        <main id="main" ref={main} tabIndex={-1} class={'page-' + route.page}>
          {page?.about && route.rest.length === 0 && <p class="about">{page.about}</p>}
          {page ? <page.view rest={route.rest} /> : <Missing />}
        </main>
      </div>
      <Asker />
    </div>
  )
}

const Missing = () => (
  <Empty>
    There is no page of this name. <a href={link('overview')}>Go to the overview</a>.
  </Empty>
)

function Menu({ current }: { current: string }) {
  const groups = [...new Set(pages.map((p) => p.group))]
  const item = (p: Page) => (
    <li key={p.id}>
      <a href={link(p.id)} aria-current={p.id === current ? 'page' : undefined}>
        <Icon name={p.icon} />
        {p.title}
      </a>
    </li>
  )
  return (
    <nav class="menu" aria-label="Pages">
      <a class="brand" href={link('overview')}>
        <img src="icon.svg" alt="" width="26" height="26" />
        emqttd
      </a>
      {groups.map((g) => (
        <section key={g}>
          <h2>{g}</h2>
          <ul>{pages.filter((p) => p.group === g && (admin() || !p.admin)).map(item)}</ul>
        </section>
      ))}
    </nav>
  )
}

const lines: Record<Line, [text: string, title: string]> = {
  off: ['Paused', 'The page is not updated.'],
  connecting: ['Connecting', 'Waiting for the broker’s stream of events.'],
  live: ['Live', 'The broker tells this page what changes.'],
  lost: ['Lost', 'The stream of events broke off. It is tried again.'],
}

function LineMark() {
  const now = useStore(line)
  const [text, title] = lines[now]
  return (
    <span class={'line ' + now} role="status" title={title}>
      <i aria-hidden="true" />
      {text}
    </span>
  )
}

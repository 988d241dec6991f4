// SPDX-License-Identifier: Apache-2.0

// Breaking the broker on purpose: faults by hand, and the cookbook, whose
// checker says whether any client noticed.
import { useState } from 'preact/hooks'
import { del, post, useResource } from '../api'
import { age, clock, count, duration, moment, plural, time } from '../format'
import { link } from '../router'
import { admin } from '../session'
import type { ChaosExperiment, ChaosHit, ChaosRun, ChaosState } from '../types'
import { Badge, Button, Code, Empty, Failure, Field, Loading, Notice, Panel, type Tone } from '../ui/basics'
import { Rows } from '../ui/table'
import { attempt } from '../ui/toast'
import type { Page } from './page'

function CrashLab() {
  const { data: state, error, reload } = useResource<ChaosState>('/chaos', 1000)
  if (!state) return error === undefined ? <Loading /> : <Failure error={error} retry={reload} />
  return (
    <>
      {!state.enabled && (
        <Notice tone="info">
          The lab is closed: nothing can be broken from here. Start the broker with <code>--set chaos.enabled=true</code> to
          open it to administrators; not in production.
        </Notice>
      )}
      {state.enabled && <Faults state={state} reload={reload} />}
      <Cookbook open={state.enabled && admin()} />
    </>
  )
}

const recipes: [text: string, fault: string][] = [
  ['Crash every 20th message of ws_client', 'at=ws_client/* do=panic when=every:20 ttl=60s'],
  ['Stop a parser now and then', 'at=ws_loop/data do=stop when=p:0.05 ttl=60s'],
  ['Crash sessions between two effects', 'at=session/*/between do=panic when=every:10 hits=20'],
  ['End the protocol actor’s goroutine', 'at=protocol/received/decide do=goexit when=every:15 ttl=60s'],
]

function Faults({ state, reload }: { state: ChaosState; reload: () => void }) {
  const [text, setText] = useState('')
  const arm = async (e: Event) => {
    e.preventDefault()
    if (await attempt(() => post('/chaos/faults', { fault: text }), 'The fault is armed.')) setText('')
    reload()
  }
  const clear = async (id?: number) => {
    await attempt(() => del('/chaos/faults' + (id === undefined ? '' : `/${id}`)), id === undefined ? 'No fault is armed any more.' : 'The fault is disarmed.')
    reload()
  }
  return (
    <div class="columns">
      <Panel
        title="Faults"
        actions={
          admin() &&
          state.faults.length > 0 && (
            <Button small look="danger" onClick={() => clear()}>
              Disarm all
            </Button>
          )
        }
        flush
      >
        {admin() && (
          <form class="arm" onSubmit={arm}>
            <Field label="Fault" hint={<>Where, what, when, for how long: <code>at=KIND/MESSAGE[/PHASE] do=panic|goexit|stop|stall:2s when=every:N|nth:N|p:0.1 hits=N ttl=30s scope=client:GLOB</code></>}>
              {(id) => (
                <input
                  id={id}
                  class="mono"
                  required
                  autocomplete="off"
                  spellcheck={false}
                  placeholder="at=ws_client/* do=panic when=every:20"
                  value={text}
                  onInput={(e) => setText(e.currentTarget.value)}
                />
              )}
            </Field>
            <div class="buttons">
              <Button type="submit" look="primary" icon="crash">
                Arm it
              </Button>
            </div>
            <div class="recipes" role="group" aria-label="Examples">
              {recipes.map(([name, fault]) => (
                <button key={fault} type="button" onClick={() => setText(fault)}>
                  {name}
                </button>
              ))}
            </div>
          </form>
        )}
        {state.faults.length === 0 ? (
          <Empty icon="crash">No fault is armed. What crashes now crashes by itself.</Empty>
        ) : (
          <Rows
            label="Armed faults"
            rowKey={(f) => String(f.id)}
            rows={state.faults}
            columns={[
              { key: 'fault', title: 'Fault', main: true, align: 'text', cell: (f) => <Code>{f.fault}</Code> },
              {
                key: 'hits',
                title: 'Hits',
                align: 'right',
                cell: (f) => <span title={`${plural(f.seen, 'occurrence')} of its place, ${count(f.blind)} without what its scope asks for`}>{count(f.hits)}</span>,
              },
              { key: 'until', title: 'Until', cell: (f) => (f.until ? clock(moment(f.until)!) : 'disarmed') },
            ]}
            actions={admin() ? (f) => <Button small look="quiet" icon="trash" label={`Disarm fault ${f.id}`} onClick={() => clear(f.id)} /> : undefined}
          />
        )}
      </Panel>
      <Hits hits={state.hits} />
    </div>
  )
}

const shownHits = 15

const Hits = ({ hits }: { hits: ChaosHit[] }) => (
  <Panel title="What was hit" flush actions={<a href={link('actors')}>See the actors</a>}>
    {hits.length === 0 ? (
      <Empty>Nothing was hit since the start.</Empty>
    ) : (
      <Rows
        label="Hits"
        rowKey={(h) => h.at + h.actor + h.phase}
        rows={hits.slice(0, shownHits)}
        columns={[
          { key: 'actor', title: 'Actor', main: true, cell: (h) => <Code>{h.actor}</Code> },
          { key: 'do', title: 'Fault', cell: (h) => <Badge tone="bad">{h.do}</Badge> },
          { key: 'message', title: 'At', cell: (h) => `${h.message}, ${h.phase}` },
          { key: 'at', title: 'When', cell: (h) => clock(moment(h.at)!) },
        ]}
      />
    )}
  </Panel>
)

const verdicts: Record<ChaosRun['state'], [tone: Tone, text: string]> = {
  running: ['info', 'running'],
  passed: ['ok', 'PASS'],
  failed: ['bad', 'FAIL'],
  void: ['warn', 'proved nothing'],
  stopped: ['plain', 'stopped'],
}

function Cookbook({ open }: { open: boolean }) {
  const book = useResource<ChaosExperiment[]>('/chaos/experiments')
  const { data: runs, reload } = useResource<ChaosRun[]>('/chaos/runs', 700)
  if (!book.data) return book.error === undefined ? <Loading /> : <Failure error={book.error} retry={book.reload} />
  const busy = runs?.[0]?.state === 'running'
  const start = async (e: ChaosExperiment) => {
    await attempt(() => post('/chaos/runs', { experiment: e.name }), `Experiment ${e.name} runs.`)
    reload()
  }
  const stop = async (id: number) => {
    await attempt(() => del(`/chaos/runs/${id}`), 'The experiment is stopped.')
    reload()
  }
  return (
    <Panel title="Cookbook" flush>
      {book.data.map((e) => {
        const run = runs?.find((r) => r.experiment === e.name)
        return (
          <details key={e.name} class="recipe">
            <summary>
              <span class="number">{e.name}</span>
              <span class="what">{e.title}</span>
              {run && <Verdict run={run} />}
            </summary>
            <div class="inside">
              <dl class="pair">
                <dt>emqttd 1.1.3</dt>
                <dd>{e.emqttd}</dd>
                <dt>Here</dt>
                <dd>{e.ours}</dd>
                {e.faults.length > 0 && (
                  <>
                    <dt>Faults</dt>
                    <dd>
                      {e.faults.map((f) => (
                        <div key={f}>
                          <Code>{f}</Code>
                        </div>
                      ))}
                    </dd>
                  </>
                )}
                {e.stops.length > 0 && (
                  <>
                    <dt>Stops</dt>
                    <dd>{e.stops.join(', ')}, half way</dd>
                  </>
                )}
              </dl>
              {e.why && <Notice tone="plain">Not from here: {e.why}.</Notice>}
              {run && <Outcome run={run} />}
              {open && !e.why && (
                <div class="buttons">
                  {run?.state === 'running' ? (
                    <Button look="danger" icon="stop" onClick={() => stop(run.id)}>
                      Stop
                    </Button>
                  ) : (
                    <Button look="primary" icon="play" disabled={busy} onClick={() => start(e)}>
                      {run ? 'Run it again' : 'Run it'}
                    </Button>
                  )}
                </div>
              )}
            </div>
          </details>
        )
      })}
    </Panel>
  )
}

function Verdict({ run }: { run: ChaosRun }) {
  const [tone, text] = verdicts[run.state]
  return (
    <Badge tone={tone} title={time(run.started_at)}>
      {run.state === 'running' ? `step ${count(run.step)} of ${count(run.steps)}` : text}
    </Badge>
  )
}

function Outcome({ run }: { run: ChaosRun }) {
  return (
    <div class="stack" aria-live="polite">
      {run.state === 'running' ? (
        <progress max={run.steps} value={run.step} aria-label="Steps" />
      ) : (
        <p>
          <Verdict run={run} /> {age(run.started_at)} ago, in {duration(run.elapsed_seconds)}: {plural(run.published_messages, 'message')} sent,{' '}
          {count(run.received_messages)} received over {plural(run.connections, 'connection')}, seed {String(run.seed)}.
          {run.state === 'passed' && ' No client noticed anything.'}
        </p>
      )}
      {run.error && <Notice tone="warn">{run.error}</Notice>}
      {run.violations?.map((v) => (
        <Notice key={v.text} tone="bad">
          {v.clause}: {v.text}
        </Notice>
      ))}
      {run.trace && <pre tabIndex={0}>{run.trace.join('\n')}</pre>}
    </div>
  )
}

export const crashlab: Page = {
  id: 'crash_lab',
  title: 'Crash lab',
  about: 'Crash the actors of this running broker on purpose, and see whether any client notices.',
  group: 'Tools',
  icon: 'crash',
  view: CrashLab,
}

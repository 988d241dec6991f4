// SPDX-License-Identifier: Apache-2.0

// Bundles the page: src/ becomes ../dist (or the folder given as argument),
// four files with fixed names; the broker adds the hash of their contents when
// it serves them. The same sources and the versions of package-lock.json give
// the same bytes on every machine.
import { build } from 'esbuild'
import { copyFileSync, mkdirSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'

const here = import.meta.dirname
const out = resolve(process.argv[2] ?? join(here, '../dist'))

rmSync(out, { recursive: true, force: true })
mkdirSync(out, { recursive: true })
await build({
  absWorkingDir: here,
  entryPoints: { app: 'src/main.tsx', theme: 'src/theme.ts' },
  outdir: out,
  bundle: true,
  minify: true,
  format: 'iife',
  target: ['es2022', 'chrome111', 'firefox113', 'safari16.4'],
  jsx: 'automatic',
  jsxImportSource: 'preact',
  legalComments: 'none',
  banner: {
    js: '/* SPDX-License-Identifier: Apache-2.0. Contains Preact, (c) Jason Miller, MIT licence. */',
    css: '/* SPDX-License-Identifier: Apache-2.0 */',
  },
  logLevel: 'warning',
})
for (const name of ['index.html', 'icon.svg']) copyFileSync(join(here, 'src', name), join(out, name))

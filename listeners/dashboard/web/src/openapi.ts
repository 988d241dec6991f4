// SPDX-License-Identifier: Apache-2.0

// As much of OpenAPI 3.1 as the broker's own document uses.

export interface Schema {
  $ref?: string
  type?: string | string[]
  format?: string
  description?: string
  enum?: unknown[]
  default?: unknown
  example?: unknown
  minimum?: number
  maximum?: number
  items?: Schema
  properties?: Record<string, Schema>
  required?: string[]
  additionalProperties?: boolean | Schema
  allOf?: Schema[]
  oneOf?: Schema[]
}

export interface Parameter {
  $ref?: string
  name: string
  in: 'path' | 'query' | 'header' | 'cookie'
  required?: boolean
  description?: string
  schema?: Schema
}

interface Content {
  description?: string
  required?: boolean
  content?: Record<string, { schema?: Schema; example?: unknown }>
  $ref?: string
}

export interface Operation {
  summary?: string
  description?: string
  tags?: string[]
  parameters?: Parameter[]
  requestBody?: Content
  responses?: Record<string, Content>
  'x-role'?: string
}

type Method = 'get' | 'post' | 'put' | 'patch' | 'delete'
const methods: Method[] = ['get', 'post', 'put', 'patch', 'delete']

export interface Document {
  info: { title: string; version: string; description?: string }
  tags?: { name: string; description?: string }[]
  paths: Record<string, Partial<Record<Method, Operation>> & { parameters?: Parameter[] }>
  components?: Record<string, Record<string, unknown>>
}

export interface Endpoint {
  method: Method
  path: string
  operation: Operation
  parameters: Parameter[]
  body?: Schema
}

/** follow replaces a reference by what it points at, one step. */
export function follow<T extends { $ref?: string }>(doc: Document, value: T): T {
  if (!value.$ref) return value
  const [, , kind = '', name = ''] = value.$ref.split('/')
  return (doc.components?.[kind]?.[name] as T | undefined) ?? value
}

/** endpoints lists all operations, by tag in the document's order. */
export function endpoints(doc: Document): [tag: string, list: Endpoint[]][] {
  const groups = new Map<string, Endpoint[]>((doc.tags ?? []).map((t) => [t.name, []]))
  for (const [path, item] of Object.entries(doc.paths)) {
    for (const method of methods) {
      const operation = item[method]
      if (!operation) continue
      const tag = operation.tags?.[0] ?? 'other'
      const body = operation.requestBody && follow(doc, operation.requestBody).content?.['application/json']?.schema
      const parameters = [...(item.parameters ?? []), ...(operation.parameters ?? [])].map((p) => follow(doc, p))
      if (!groups.has(tag)) groups.set(tag, [])
      groups.get(tag)!.push({ method, path, operation, parameters, body })
    }
  }
  return [...groups].filter(([, list]) => list.length > 0)
}

const deepest = 6 // levels of a sample: a schema may refer to itself

/** sample makes a value of the shape a schema describes, to begin with. */
export function sample(doc: Document, schema: Schema, depth = 0): unknown {
  const s = follow(doc, schema)
  if (s.example !== undefined) return s.example
  if (s.default !== undefined) return s.default
  if (s.enum) return s.enum[0]
  if (depth > deepest) return null
  if (s.allOf) return Object.assign({}, ...s.allOf.map((part) => sample(doc, part, depth + 1)))
  if (s.oneOf?.[0]) return sample(doc, s.oneOf[0], depth + 1)
  switch (Array.isArray(s.type) ? s.type[0] : s.type) {
    case 'string':
      return s.format === 'date-time' ? new Date().toISOString() : ''
    case 'integer':
    case 'number':
      return s.minimum ?? 0
    case 'boolean':
      return false
    case 'array':
      return s.items ? [sample(doc, s.items, depth + 1)] : []
  }
  const fields = Object.entries(s.properties ?? {})
  const wanted = s.required?.length ? fields.filter(([name]) => s.required!.includes(name)) : fields
  return Object.fromEntries(wanted.map(([name, field]) => [name, sample(doc, field, depth + 1)]))
}

/** typeName says in a word what a schema is. */
export function typeName(schema: Schema | undefined): string {
  if (!schema) return ''
  if (schema.$ref) return schema.$ref.split('/').pop()!
  if (schema.enum) return schema.enum.map((v) => String(v)).join(' | ')
  const type = Array.isArray(schema.type) ? schema.type.join(' | ') : (schema.type ?? '')
  return type === 'array' ? typeName(schema.items) + '[]' : type + (schema.format ? `, ${schema.format}` : '')
}

import { infoQuery, queries } from './queries.ts'

/** A request, as it is told to somebody who would make it elsewhere. */
export interface Call {
  method: string
  path: string
  body?: unknown
  /** The answer is a stream of events and not one of JSON. */
  stream?: boolean
}

/** Of a key this page knows nothing: it lies in a cookie that no script can read. */
const keyNeeded = (): boolean => queries.getQueryData(infoQuery.queryKey)?.keys_required === true

const quoted = (text: string) => `'${text.replaceAll("'", `'\\''`)}'`

/** As a command for a terminal. */
export function curlOf({ method, path, body, stream }: Call): string {
  const parts = [`curl ${stream ? '-N ' : ''}-X ${method} ${quoted(location.origin + path)}`]
  if (keyNeeded()) parts.push('-H "x-api-key: $TROUPE_API_KEY"')
  if (body !== undefined) parts.push(`-H 'content-type: application/json'`, `-d ${quoted(JSON.stringify(body))}`)
  return parts.join(' \\\n  ')
}

/** As a program that needs nothing but Node. */
export function typescriptOf({ method, path, body, stream }: Call): string {
  const headers = [
    ...(body === undefined ? [] : [`'content-type': 'application/json'`]),
    ...(keyNeeded() ? [`'x-api-key': process.env.TROUPE_API_KEY!`] : []),
  ]
  const options = [
    `  method: '${method}',`,
    ...(headers.length > 0 ? [`  headers: { ${headers.join(', ')} },`] : []),
    ...(body === undefined
      ? []
      : [`  body: JSON.stringify(${JSON.stringify(body, null, 2).replaceAll('\n', '\n  ')}),`]),
  ]
  return [
    `const response = await fetch(${JSON.stringify(location.origin + path)}, {`,
    ...options,
    '})',
    'if (!response.ok) throw new Error(await response.text())',
    stream
      ? 'for await (const text of response.body!.pipeThrough(new TextDecoderStream())) process.stdout.write(text)'
      : 'console.log(await response.json())',
    '',
  ].join('\n')
}

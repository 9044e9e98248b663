import { useSyncExternalStore } from 'react'
import type { Call } from './request-text.ts'

export interface Sent extends Call {
  at: string
  id: number
  /** Null: no answer came. */
  status: number | null
}

/** Requests that are remembered, the newest; until the page is closed. */
const MOST = 50
/** What no one should copy: it holds a key. */
const SECRET = new Set(['/v1/login'])

let list: readonly Sent[] = []
let count = 0
const listeners = new Set<() => void>()
const note = (sent: Sent) => {
  list = [sent, ...list].slice(0, MOST)
  for (const listener of listeners) listener()
}

/** `fetch`, which remembers each write, so that every action of the page can be copied and made elsewhere. */
export const rememberingFetch: typeof fetch = async (input, init) => {
  const method = init?.method ?? 'GET'
  const { pathname, search } = new URL(String(input), location.origin)
  if (method === 'GET' || SECRET.has(pathname)) return fetch(input, init)
  const sent = {
    id: count++,
    at: new Date().toISOString(),
    method,
    path: pathname + search,
    ...(typeof init?.body === 'string' && { body: JSON.parse(init.body) as unknown }),
  }
  try {
    const response = await fetch(input, init)
    note({ ...sent, status: response.status })
    return response
  } catch (error) {
    note({ ...sent, status: null })
    throw error
  }
}

/** What the page has sent, newest first. */
export const useSent = (): readonly Sent[] =>
  useSyncExternalStore(
    (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    () => list,
  )

/** All that the genuine agent asks of a Messages endpoint (measured on 2.1.330), and the lists of models beside it. */
const ALLOWED: readonly (readonly [string, RegExp])[] = [
  ['POST', /^\/v1\/messages$/],
  ['POST', /^\/v1\/messages\/count_tokens$/],
  ['GET', /^\/v1\/models$/],
  ['GET', /^\/v1\/models\/[\w.:@-]+$/],
]

/** Whether a request is one that agents need. `path`: below that of the endpoint, without a query. */
export const isModelRequest = (method: string | undefined, path: string): boolean =>
  ALLOWED.some(([allowed, pattern]) => method === allowed && pattern.test(path))

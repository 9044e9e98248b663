/** Ends of a line to Unicode, but neither to JSON nor to server-sent events. */
const OTHER_ENDS = /[\u0085\u2028\u2029]/g

/**
 * The same JSON as one line to every reader: many split text wherever Unicode ends a line (`str.splitlines` and clients
 * of Python that use it, `readline` of Node), and would cut a string in two.
 */
export const oneLine = (json: string): string =>
  json.replace(OTHER_ENDS, (end) => `\\u${end.charCodeAt(0).toString(16).padStart(4, '0')}`)

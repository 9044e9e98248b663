import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { setTimeout as pause } from 'node:timers/promises'
import { words } from './language.ts'
import type { Reply, ReplyBlock } from './reply.ts'
import type { Step } from './step.ts'

/** Characters per delta where nobody asked for a pace. */
const PIECE = 400

/**
 * Sends the reply as server-sent events at the step's pace. With `hang: 'mid'` it stops within the last block and
 * waits there. Rejects with the signal's reason once that is aborted.
 */
export async function streamReply(res: ServerResponse, reply: Reply, step: Step, signal: AbortSignal): Promise<void> {
  res.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-cache' })
  const send = async (type: string, fields: object): Promise<void> => {
    signal.throwIfAborted()
    const room = res.write(`event: ${type}\ndata: ${JSON.stringify({ type, ...fields })}\n\n`)
    if (!room) await once(res, 'drain', { signal })
  }
  const started = { ...reply, content: [], stop_reason: null, usage: { ...reply.usage, output_tokens: 1 } }
  await send('message_start', { message: started })
  await send('ping', {})
  for (const [index, block] of reply.content.entries()) {
    await send('content_block_start', { index, content_block: emptied(block) })
    const deltas = deltasOf(block, step.stream !== undefined)
    const stopsHere = step.hang === 'mid' && index === reply.content.length - 1
    for (const delta of stopsHere ? deltas.slice(0, Math.ceil(deltas.length / 2)) : deltas) {
      await send('content_block_delta', { index, delta })
      if (step.stream && block.type === 'text') await pause(step.stream.chunk_ms, undefined, { signal })
    }
    if (stopsHere) await forever(signal)
    await send('content_block_stop', { index })
  }
  const { stop_reason, stop_sequence, usage } = reply
  await send('message_delta', { delta: { stop_reason, stop_sequence }, usage })
  await send('message_stop', {})
  res.end()
}

function emptied(block: ReplyBlock): ReplyBlock {
  switch (block.type) {
    case 'thinking':
      return { type: 'thinking', thinking: '', signature: '' }
    case 'text':
      return { type: 'text', text: '' }
    case 'tool_use':
      return { ...block, input: {} }
  }
}

function deltasOf(block: ReplyBlock, byWord: boolean): object[] {
  switch (block.type) {
    case 'thinking':
      return [
        ...pieces(block.thinking).map((thinking) => ({ type: 'thinking_delta', thinking })),
        { type: 'signature_delta', signature: block.signature },
      ]
    case 'text':
      return (byWord ? words(block.text) : pieces(block.text)).map((text) => ({ type: 'text_delta', text }))
    case 'tool_use':
      return pieces(JSON.stringify(block.input)).map((partial_json) => ({ type: 'input_json_delta', partial_json }))
  }
}

/** At least two pieces where there is room, so that every reader meets a partial block; surrogate pairs stay whole. */
function pieces(text: string): string[] {
  const size = Math.max(1, Math.min(PIECE, Math.ceil(text.length / 2)))
  return text.match(new RegExp(`[^]{1,${size}}`, 'gu')) ?? []
}

/** Never resolves; rejects with the signal's reason once that is aborted. */
export function forever(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason)
    else signal.addEventListener('abort', () => reject(signal.reason), { once: true })
  })
}

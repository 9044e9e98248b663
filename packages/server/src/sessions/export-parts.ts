import type { EventRow } from '../store/events.ts'

/** What an export to read shows of an event; null: nothing. */
export interface ExportPart {
  kind: 'user' | 'agent' | 'call' | 'result' | 'note' | 'error'
  title: string
  text: string
  /** Whether the text is data, to be shown as it is. */
  code: boolean
  at: number
}

interface Block {
  type?: string
  text?: string
}

const textOf = (content: unknown): string =>
  typeof content === 'string'
    ? content
    : Array.isArray(content)
      ? (content as Block[])
          .map((block) => (block.type === 'text' ? (block.text ?? '') : `[${block.type ?? 'content'}]`))
          .join('\n')
      : ''

/** What was kept and what was not, a line each. */
function filesOf({ files, failed }: Record<string, unknown>): string {
  const kept = (files as { path: string; file_id: string; size_bytes: number }[]).map(
    (file) => `outputs/${file.path}: ${file.file_id}, ${file.size_bytes} bytes`,
  )
  const out = (failed as { path: string; error: string }[]).map(
    ({ path, error }) => `outputs/${path}: not kept, ${error}`,
  )
  return [...kept, ...out].join('\n')
}

export function partOf(event: EventRow): ExportPart | null {
  const body = JSON.parse(event.body) as Record<string, unknown>
  const part = (kind: ExportPart['kind'], title: string, text: string, code = false): ExportPart => ({
    kind,
    title,
    text,
    code,
    at: event.createdAt,
  })
  const name = typeof body.name === 'string' ? body.name : ''
  switch (event.type) {
    case 'user.message':
      return part('user', 'User', textOf(body.content))
    case 'system.message':
      return part('note', 'System', textOf(body.content))
    case 'agent.message':
      return part('agent', event.threadId ? 'Subagent' : 'Agent', textOf(body.content))
    case 'agent.tool_use':
    case 'agent.mcp_tool_use':
    case 'agent.custom_tool_use':
      return part('call', `Tool: ${name}`, JSON.stringify(body.input ?? {}, null, 2), true)
    case 'agent.tool_result':
    case 'agent.mcp_tool_result':
    case 'user.custom_tool_result':
      return part('result', body.is_error === true ? 'Result (failed)' : 'Result', textOf(body.content), true)
    case 'agent.permission_denied':
      return part('note', `Refused: ${name}`, typeof body.reason === 'string' ? body.reason : '')
    case 'user.interrupt':
      return part('note', 'Interrupted', '')
    case 'session.rewound':
      return part('note', 'Rewound', `What stands between event ${String(body.to_seq)} and here was set back.`)
    case 'session.forked':
      return part('note', 'Forked', 'What stands above is the history of another session.')
    case 'session.files_persisted':
      return part('note', 'Files', filesOf(body))
    case 'session.error': {
      const error = body.error as { code?: string; message?: string } | undefined
      return part('error', `Error: ${error?.code ?? ''}`, error?.message ?? '')
    }
    default:
      return null
  }
}

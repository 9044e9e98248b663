import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { query, type Options, type SDKMessage } from '@anthropic-ai/claude-agent-sdk'

/** A place for the genuine agent to work in: a workdir and a private configuration, gone after `remove`. */
export function stage() {
  const root = mkdtempSync(join(tmpdir(), 'troupe-demo-'))
  const workdir = mkdtempSync(join(root, 'workdir-'))
  const env = {
    PATH: process.env.PATH,
    HOME: root,
    CLAUDE_CONFIG_DIR: join(root, 'config'),
    ANTHROPIC_API_KEY: 'demo',
    CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1',
    CLAUDE_CODE_DISABLE_AUTO_MEMORY: '1',
    DISABLE_TELEMETRY: '1',
    IS_SANDBOX: '1',
  }
  return { workdir, env, remove: () => rmSync(root, { recursive: true, force: true }) }
}

export type Stage = ReturnType<typeof stage>

/** Runs one turn to its end and returns all its messages. Rejects when the agent ends with an error. */
export async function turn(stage: Stage, url: string, prompt: string, options: Options = {}): Promise<SDKMessage[]> {
  const messages: SDKMessage[] = []
  const running = query({
    prompt,
    options: {
      cwd: stage.workdir,
      env: { ...stage.env, ANTHROPIC_BASE_URL: url },
      settingSources: [],
      permissionMode: 'bypassPermissions',
      allowDangerouslySkipPermissions: true,
      ...options,
    },
  })
  for await (const message of running) messages.push(message)
  return messages
}

/** The end of the turn: its text and its session. */
export function resultOf(messages: SDKMessage[]) {
  const result = messages.find((message) => message.type === 'result')
  return { text: result?.subtype === 'success' ? result.result : null, sessionId: result?.session_id ?? '' }
}

/** What the tools returned, in order of arrival. */
export function toolOutputs(messages: SDKMessage[]): string[] {
  return messages
    .filter((message) => message.type === 'user')
    .flatMap((message) => (Array.isArray(message.message.content) ? message.message.content : []))
    .filter((block) => block.type === 'tool_result')
    .map((block) => (typeof block.content === 'string' ? block.content : JSON.stringify(block.content)))
}

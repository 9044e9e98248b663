import type { Conversation, ToolResult } from './conversation.ts'

/** A conversation as a scenario sees it: with a prompt, and in the language of the prompt. */
export interface Scene extends Conversation {
  prompt: string
  ja: boolean
  /** The text in the prompt's language. */
  t: (english: string, japanese: string) => string
}

/** Longest quote of one tool result, in characters. */
const QUOTE_LIMIT = 1_500

/** A tool result as a code block, or the refusal in the tool's own words. */
export function quote(scene: Scene, result: ToolResult | undefined): string {
  if (!result) return scene.t('(no result came back)', '(結果が返ってきませんでした)')
  const text = reportIn(result.text).trim() || scene.t('(no output)', '(出力なし)')
  const shown = text.length > QUOTE_LIMIT ? `${text.slice(0, QUOTE_LIMIT)}\n…` : text
  const refused = scene.t(`The ${result.name} tool refused:\n`, `${result.name} ツールに断られました:\n`)
  const fence = shown.includes('```') ? '````' : '```'
  return `${result.isError ? refused : ''}${fence}\n${shown}\n${fence}`
}

/** A subagent's report comes inside a frame, indented by two spaces; anything else is returned as it is. */
function reportIn(text: string): string {
  const framed = /The report follows:\n([\s\S]*?)\nagentId: /.exec(text)?.[1]
  return framed === undefined ? text : framed.replaceAll(/^ {2}/gm, '')
}

/** One answer that says which tools are wanting, or null when all are there. */
export function missing(scene: Scene, ...names: string[]): string | null {
  const absent = names.filter((name) => !scene.tools.has(name))
  if (absent.length === 0) return null
  const present = [...scene.tools.keys()].join(', ') || scene.t('none', 'なし')
  return scene.t(
    `For this I would need the tool ${absent.join(' and ')}, which this agent does not have. Its tools: ${present}.`,
    `これには ${absent.join(' と ')} ツールが必要ですが、このエージェントにはありません。使えるツール: ${present}`,
  )
}

/** A path in the workdir: absolute when the agent tells where it works, else relative. */
export function inWorkdir(scene: Scene, name: string): string {
  return scene.workdir === null ? name : `${scene.workdir}/${name}`
}

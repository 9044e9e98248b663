import highlighter from 'highlight.js/lib/core'
import type { Emitter } from 'highlight.js'
import bash from 'highlight.js/lib/languages/bash'
import c from 'highlight.js/lib/languages/c'
import cpp from 'highlight.js/lib/languages/cpp'
import csharp from 'highlight.js/lib/languages/csharp'
import css from 'highlight.js/lib/languages/css'
import diff from 'highlight.js/lib/languages/diff'
import dockerfile from 'highlight.js/lib/languages/dockerfile'
import go from 'highlight.js/lib/languages/go'
import ini from 'highlight.js/lib/languages/ini'
import java from 'highlight.js/lib/languages/java'
import javascript from 'highlight.js/lib/languages/javascript'
import json from 'highlight.js/lib/languages/json'
import kotlin from 'highlight.js/lib/languages/kotlin'
import makefile from 'highlight.js/lib/languages/makefile'
import markdown from 'highlight.js/lib/languages/markdown'
import php from 'highlight.js/lib/languages/php'
import python from 'highlight.js/lib/languages/python'
import ruby from 'highlight.js/lib/languages/ruby'
import rust from 'highlight.js/lib/languages/rust'
import scss from 'highlight.js/lib/languages/scss'
import sql from 'highlight.js/lib/languages/sql'
import swift from 'highlight.js/lib/languages/swift'
import typescript from 'highlight.js/lib/languages/typescript'
import xml from 'highlight.js/lib/languages/xml'
import yaml from 'highlight.js/lib/languages/yaml'

/** A piece of code of one colour; `kind` is the end of a class of styles/session.css, '' for the colour of the text. */
export interface CodeToken {
  text: string
  kind: '' | 'word' | 'string' | 'number' | 'comment' | 'name' | 'type' | 'add' | 'del'
}

/** Characters that are coloured at most: a few ms of ordinary code, and some hundred of the worst that can be written. */
const MOST = 10_000
/** A line that is longer was not written by hand, and is what makes patterns slow. */
const LONGEST_LINE = 500

// oxfmt-ignore
const LANGUAGES = {
  bash, c, cpp, csharp, css, diff, dockerfile, go, ini, java, javascript, json, kotlin, makefile, markdown, php,
  python, ruby, rust, scss, sql, swift, typescript, xml, yaml,
}

/** Scopes of the highlighter, by the kind they are shown as. */
const SCOPES: Record<Exclude<CodeToken['kind'], ''>, string> = {
  word: 'keyword literal variable.language selector-tag name',
  string: 'string regexp meta.string code link',
  number: 'number symbol bullet char.escape',
  comment: 'comment quote doctag meta',
  name: 'title title.function section attr attribute property selector-class selector-id selector-attr selector-pseudo',
  type: 'type title.class title.class.inherited built_in variable template-variable',
  add: 'addition',
  del: 'deletion',
}
const KINDS = new Map(
  Object.entries(SCOPES).flatMap(([kind, scopes]) =>
    scopes.split(' ').map((scope) => [scope, kind as CodeToken['kind']] as const),
  ),
)

/** Takes what is found as pieces; no HTML is made at any time. */
class Pieces implements Emitter {
  readonly tokens: CodeToken[] = []
  readonly #open: CodeToken['kind'][] = []

  startScope(scope: string): void {
    this.#open.push(scope === 'subst' ? '' : (KINDS.get(scope) ?? this.#open.at(-1) ?? ''))
  }

  endScope(): void {
    this.#open.pop()
  }

  // The library calls these beside the two above, whatever its types say.
  openNode(scope: string): void {
    this.startScope(scope)
  }

  closeNode(): void {
    this.endScope()
  }

  addText(text: string): void {
    if (text === '') return
    const kind = this.#open.at(-1) ?? ''
    const last = this.tokens.at(-1)
    if (last?.kind === kind) last.text += text
    else this.tokens.push({ text, kind })
  }

  __addSublanguage(emitter: Emitter): void {
    if (emitter instanceof Pieces) this.tokens.push(...emitter.tokens)
  }

  toHTML(): string {
    return ''
  }

  finalize(): void {
    // Nothing is left open by pieces.
  }
}

function prepared() {
  const own = highlighter.newInstance()
  for (const [name, language] of Object.entries(LANGUAGES)) own.registerLanguage(name, language)
  own.configure({ __emitter: Pieces })
  return own
}

const own = prepared()

/** Whether code of this language, by its name or an ending of files, is coloured. */
export const isKnown = (language: string): boolean => own.getLanguage(language) !== undefined

/**
 * Code as pieces that, joined, are the code again, whatever is in it. One piece without a colour for a language that is
 * not known, for more than {@link MOST} characters, and for lines of machines.
 */
export function tokensOf(code: string, language: string): CodeToken[] {
  const plain: CodeToken[] = [{ text: code, kind: '' }]
  if (!isKnown(language) || code.length > MOST || hasLongLine(code)) return plain
  const { _emitter: found, errorRaised } = own.highlight(code, { language, ignoreIllegals: true })
  if (errorRaised || !(found instanceof Pieces)) return plain
  // What is read must be what was written, if the highlighter has a bug too.
  return found.tokens.map(({ text }) => text).join('') === code ? found.tokens : plain
}

/** The same, line by line. */
export function tokenLinesOf(code: string, language: string): CodeToken[][] {
  const lines: CodeToken[][] = [[]]
  for (const { text, kind } of tokensOf(code, language)) {
    for (const [index, part] of text.split('\n').entries()) {
      if (index > 0) lines.push([])
      if (part !== '') lines.at(-1)!.push({ text: part, kind })
    }
  }
  return lines
}

const hasLongLine = (code: string): boolean => code.split('\n').some((line) => line.length > LONGEST_LINE)

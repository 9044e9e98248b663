import { textOf } from '@troupe/client/content'
import { fold } from '@troupe/client/fold'
import { emptyView, type Item, type SessionView, type ToolItem, type TurnView } from '@troupe/client/view'
import type { StreamFrame } from '@troupe/protocol/event'
import { clean, Cleaner, cleanLine } from './clean.ts'
import type { Screen } from './screen.ts'
import { shorten } from './table.ts'
import { turnLine } from './turn-line.ts'
import { duration, toolWords } from './words.ts'

export interface PrinterOptions {
  /** Paths below it are shown from there. */
  cwd: string | null
  /** Whether what people said is printed too. Default: false. */
  inputs?: boolean
  /** Whether each turn's end is printed. Default: false. */
  ends?: boolean
}

/** Prints a session's frames for a person: words as they are written, tool calls as a line each when they end. */
export class TurnPrinter {
  readonly #screen: Screen
  readonly #options: PrinterOptions
  readonly #cleaner = new Cleaner()
  #view: SessionView = emptyView
  /** The message on the screen that is not finished: how much of its text is printed. */
  #writing: { id: string; printed: string } | null = null
  readonly #printedTools = new Set<string>()
  #denied = 0

  constructor(screen: Screen, options: PrinterOptions) {
    this.#screen = screen
    this.#options = options
  }

  get view(): SessionView {
    return this.#view
  }

  /** Tool calls that policy refused, so far; questions are not among them: no setting answers those. */
  get denied(): number {
    return this.#denied
  }

  print(frame: StreamFrame): void {
    const before = this.#view
    const view = (this.#view = fold(before, frame))
    if (view.preview) this.#printPreview(view.preview)
    for (const item of view.items.slice(before.items.length)) this.#printNew(item)
    if (view.threads !== before.threads) this.#printThreads(before, view)
    if (view.background !== before.background) this.#printBackground(view)
    if ('seq' in frame) for (const item of changed(before, view)) this.#printChanged(item)
    for (const [index, turn] of view.turns.entries()) if (before.turns[index] !== turn) this.#printTurn(turn)
    if (view.status !== before.status && view.status === 'rescheduling') this.#screen.passing('  … trying again')
    if (view.turns !== before.turns) this.#view = withoutPast(view)
  }

  /** Ends an unfinished line. */
  end(): void {
    this.#finishWriting()
  }

  #printPreview({ id, type, text }: NonNullable<SessionView['preview']>): void {
    if (type !== 'agent.message') return this.#screen.passing(this.#screen.paint.dim('  … thinking'))
    if (this.#writing && this.#writing.id !== id) this.#finishWriting()
    this.#writing ??= { id, printed: '' }
    this.#writeOn(text)
  }

  /** Prints what of the text is new; a text that turned out to be another begins on a new line. */
  #writeOn(text: string): void {
    const writing = this.#writing!
    // After a reconnect a preview begins anew: what is on the screen is not printed twice.
    if (writing.printed.startsWith(text)) return
    if (!text.startsWith(writing.printed)) {
      this.#screen.write(this.#cleaner.end())
      this.#screen.endLine()
      writing.printed = ''
    }
    this.#screen.write(this.#cleaner.next(text.slice(writing.printed.length)))
    writing.printed = text
  }

  #finishWriting(): void {
    this.#writing = null
    this.#screen.write(this.#cleaner.end())
    this.#screen.endLine()
  }

  /** What subagents say and do, each line under its name: several may work at once. */
  #printThreads(before: SessionView, view: SessionView): void {
    for (const thread of Object.values(view.threads)) {
      const known = before.threads[thread.id]
      if (known === thread) continue
      const indent = `    ${this.#screen.paint.dim(`${cleanLine(thread.description || thread.name)} │`)} `
      for (const [index, item] of thread.items.entries())
        if (known?.items[index] !== item) this.#printInside(item, indent)
      if (thread.status === 'terminated' && known?.status === 'running')
        this.#noteBelow(`${indent}${this.#screen.paint.red('cut off')}`)
    }
  }

  #printInside(item: Item, indent: string): void {
    if (item.kind === 'agent') this.#noteBelow(clean(item.text).replace(/^/gm, indent))
    else if (item.kind === 'tool' && (item.result || item.denied)) this.#printTool(item, indent)
  }

  /** A line that does not break into what is being written. */
  #noteBelow(line: string): void {
    this.#screen.endLine()
    this.#screen.note(line)
  }

  #printBackground({ background }: SessionView): void {
    if (background.length === 0) return
    const names = background.map(({ description }) => cleanLine(description)).join(', ')
    this.#noteBelow(`  ${this.#screen.paint.dim(`… in the background: ${shorten(names, this.#screen.width - 24)}`)}`)
  }

  #printNew(item: Item): void {
    const { paint } = this.#screen
    if (item.kind === 'agent') {
      if (this.#writing?.id !== item.id) this.#finishWriting()
      this.#writing ??= { id: item.id, printed: '' }
      this.#writeOn(item.text)
      return this.#finishWriting()
    }
    // What is being written goes on below: it is not over because something else is told.
    this.#screen.endLine()
    switch (item.kind) {
      case 'user':
        if (this.#options.inputs)
          this.#screen.write(`${clean(textOf(item.content)).replace(/^/gm, `${paint.cyan('›')} `)}\n`)
        break
      case 'tool':
        if (item.result || item.denied) this.#printTool(item)
        else this.#screen.passing(`  ${paint.dim('…')} ${this.#toolText(item)}`)
        break
      case 'error':
        this.#screen.note(`  ${paint.red('!')} ${cleanLine(item.error.message ?? item.error.type)}`)
        break
      case 'thread':
        this.#screen.note(`  ${paint.dim('◇')} ${cleanLine(`${item.name}  ${item.description}`)}`)
        break
      case 'compaction':
        this.#screen.note(`  ${paint.dim('◇ older context was summarised')}`)
        break
      case 'interrupt':
        this.#screen.note(`  ${paint.yellow('■')} interrupt`)
        break
      case 'note':
        if (this.#options.inputs) this.#screen.note(`  ${paint.dim(`◇ told as the system: ${cleanLine(item.text)}`)}`)
        break
      case 'setup':
        this.#screen.note(
          item.result === 'completed'
            ? `  ${paint.dim(`◇ setup ${item.number}/${item.of}: ${cleanLine(item.command)}`)}`
            : `  ${paint.red('✗')} setup ${item.number}/${item.of}: ${cleanLine(item.command)}  ${paint.red(item.result)}`,
        )
        break
      case 'files':
        for (const file of item.files)
          this.#screen.note(`  ${paint.green('▪')} ${cleanLine(file.path)}  ${paint.dim(file.id)}`)
        for (const file of item.failed)
          this.#screen.note(`  ${paint.red('✗')} ${cleanLine(file.path)}  ${paint.red(cleanLine(file.problem))}`)
        break
      case 'thinking':
        break
    }
  }

  #printChanged(item: Item): void {
    if (item.kind === 'tool' && (item.result || item.denied)) this.#printTool(item)
  }

  #printTool(item: ToolItem, indent = '  '): void {
    // A refused call gets a result too; one line is enough.
    if (this.#printedTools.has(item.id)) return
    this.#printedTools.add(item.id)
    if (item.denied !== null && item.name !== 'AskUserQuestion') this.#denied++
    const { paint } = this.#screen
    const time = item.endedAt === null ? '' : `  ${duration(Date.parse(item.endedAt) - Date.parse(item.at))}`
    const text = this.#toolText(item)
    if (item.denied !== null) this.#screen.note(`${indent}${paint.yellow('⊘')} ${text}  ${paint.yellow('denied')}`)
    else if (item.result?.isError)
      this.#screen.note(`${indent}${paint.red('✗')} ${text}${paint.dim(time)}  ${paint.red('failed')}`)
    else this.#screen.note(`${indent}${paint.green('✓')} ${text}${paint.dim(time)}`)
  }

  #toolText(item: ToolItem): string {
    const { verb, target } = toolWords(item, this.#options.cwd)
    const word = cleanLine(verb)
    return `${word}  ${shorten(cleanLine(target), Math.min(100, this.#screen.width - word.length - 24))}`.trimEnd()
  }

  #printTurn(turn: TurnView): void {
    const { dim } = this.#screen.paint
    if (turn.status === 'queued') this.#screen.passing(dim('  … waiting to start'))
    if (turn.status === 'in_progress') this.#screen.passing(dim('  … working'))
    if (turn.endedAt !== null) this.#finishWriting()
    if (turn.endedAt !== null && this.#options.ends) this.#screen.note(turnLine(turn, this.#screen.paint))
  }
}

/** What the next frames need: nothing of turns that are over but the last one's end. Long logs cost no memory. */
function withoutPast(view: SessionView): SessionView {
  const over = new Set(view.turns.filter((turn) => turn.endedAt !== null).map((turn) => turn.id))
  if (over.size === 0) return view
  return {
    ...view,
    items: view.items.filter((item) => item.turnId !== null && !over.has(item.turnId)),
    threads: Object.fromEntries(
      Object.entries(view.threads).filter(([, { turnId }]) => turnId !== null && !over.has(turnId)),
    ),
    turns: view.turns.filter(isOpenOrLast),
  }
}

const isOpenOrLast = (turn: TurnView, index: number, turns: readonly TurnView[]) =>
  turn.endedAt === null || index === turns.length - 1

/** Items that were there before and say something new. */
const changed = (before: SessionView, after: SessionView) =>
  before.items === after.items
    ? []
    : before.items.flatMap((item, index) => (after.items[index] === item ? [] : [after.items[index]!]))

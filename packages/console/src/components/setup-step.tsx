import type { SetupItem } from '@troupe/client/view'
import { useWords } from '../words/use-words.tsx'
import { Icon } from './icon.tsx'

/** A command that prepared the workdir, with the end of what it said. */
export function SetupStep({ item }: { item: SetupItem }) {
  const words = useWords()
  const good = item.result === 'completed'
  return (
    <details className="tool" open={!good}>
      <summary>
        <Icon name="terminal" />
        <span className="verb">{words.setupStep(item.number, item.of)}</span>
        <code className="small soft clip">{item.command}</code>
        <span className={good ? 'end' : 'end bad'}>{good ? '' : (words.setupResults[item.result] ?? item.result)}</span>
        <Icon name="chevron" className="chev" />
      </summary>
      <div className="inside">
        {/* A region that scrolls is reached by keyboard. */}
        <pre className="terminal" tabIndex={0}>
          <span className="command">{item.command}</span>
          <span className={good ? 'output' : 'output bad'}>{item.output === '' ? words.nothingSaid : item.output}</span>
        </pre>
      </div>
    </details>
  )
}

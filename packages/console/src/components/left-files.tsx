import type { FilesItem } from '@troupe/client/view'
import type { OutputProblem } from '@troupe/protocol/output'
import { filePath } from '../lib/files.ts'
import { bytes } from '../lib/format.ts'
import { useSpeech } from '../words/use-words.tsx'
import { Icon } from './icon.tsx'

/** What the agent left for its reader in a turn, to be downloaded where it is told. */
export function LeftFiles({ item }: { item: FilesItem }) {
  const { words, language } = useSpeech()
  return (
    <ul className="left measure" aria-label={words.files.left}>
      {item.files.map((file) => (
        <li key={file.id}>
          <a href={filePath(file.id, 'content')} download={file.path.split('/').at(-1)}>
            <Icon name="file" />
            <span className="clip">{file.path}</span>
            <span className="faint num">{bytes(file.bytes, language)}</span>
          </a>
        </li>
      ))}
      {item.failed.map((file) => (
        <li key={file.path} className="small bad-text">
          {words.files.notKept(
            file.path || 'outputs/',
            words.files.whyNot[file.problem as OutputProblem] ?? file.problem,
          )}
        </li>
      ))}
    </ul>
  )
}

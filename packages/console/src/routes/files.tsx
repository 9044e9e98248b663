import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { useState } from 'react'
import { Problem } from '../components/problem.tsx'
import { ListSkeleton } from '../components/session-list.tsx'
import { SureButton } from '../components/sure-button.tsx'
import { Ago } from '../components/time.tsx'
import { Uploads } from '../components/uploads.tsx'
import { deleteFile, filePath, filesKey, filesQuery } from '../lib/files.ts'
import { bytes } from '../lib/format.ts'
import { queries } from '../lib/queries.ts'
import { usePageTitle } from '../lib/use-page-title.ts'
import { useSpeech } from '../words/use-words.tsx'

/** Files asked for at first, and more each time; a page has at most 1,000. */
const PAGE = 100
const MOST = 1_000

/** Files that were uploaded: more of them, each taken down again or deleted. */
export function FilesPage() {
  const { words, language } = useSpeech()
  const [limit, setLimit] = useState(PAGE)
  const { data, error, isPending, refetch } = useQuery(filesQuery(limit))
  const [problem, setProblem] = useState<unknown>(null)
  const [busy, setBusy] = useState<string | null>(null)
  usePageTitle(words.files.title)
  const remove = async (id: string) => {
    setBusy(id)
    setProblem(null)
    try {
      await deleteFile(id)
    } catch (caught) {
      setProblem(caught)
    }
    setBusy(null)
    await queries.invalidateQueries({ queryKey: filesKey })
  }
  const files = data?.data ?? []
  return (
    <main className="page" id="content">
      <div className="column">
        <h1>{words.files.title}</h1>
        <Uploads />
        {error && <Problem error={error} retry={() => void refetch()} />}
        {problem !== null && <Problem error={problem} />}
        {isPending ? (
          <ListSkeleton rows={4} />
        ) : files.length > 0 ? (
          <div className="table" tabIndex={0} role="group" aria-label={words.files.title}>
            <table>
              <thead>
                <tr>
                  <th>{words.files.name}</th>
                  <th className="num">{words.files.size}</th>
                  <th className="hide-phone">{words.files.type}</th>
                  <th className="num hide-phone">{words.files.sent}</th>
                  <th>
                    <span className="sr">{words.facts.actions}</span>
                  </th>
                </tr>
              </thead>
              <tbody>
                {files.map((file) => (
                  <tr key={file.id} data-file={file.id}>
                    <td className="name">
                      {file.downloadable ? (
                        <a href={filePath(file.id, 'content')} download={file.filename} className="clip">
                          {file.filename}
                        </a>
                      ) : (
                        <span className="clip">{file.filename}</span>
                      )}
                      <div className="tiny faint clip">
                        <code>{file.id}</code>{' '}
                        {file.scope && (
                          <Link to="/s/$id" params={{ id: file.scope.id }}>
                            {words.files.leftBy}
                          </Link>
                        )}
                      </div>
                    </td>
                    <td className="num">{bytes(file.size_bytes, language)}</td>
                    <td className="hide-phone soft">{file.mime_type}</td>
                    <td className="num hide-phone soft">
                      <Ago at={file.created_at} />
                    </td>
                    <td>
                      <div className="row acts">
                        <SureButton
                          label={words.remove}
                          sure={words.files.sure}
                          name={file.filename}
                          disabled={busy === file.id}
                          press={() => void remove(file.id)}
                        />
                      </div>
                    </td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        ) : (
          !error && <p className="empty">{words.files.none}</p>
        )}
        {data?.next_page && limit < MOST && (
          <p>
            <button type="button" onClick={() => setLimit((before) => Math.min(MOST, before * 2))}>
              {words.table.more}
            </button>
          </p>
        )}
      </div>
    </main>
  )
}

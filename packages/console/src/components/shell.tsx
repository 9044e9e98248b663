import { useQuery } from '@tanstack/react-query'
import { Link, Outlet, useLocation, useNavigate } from '@tanstack/react-router'
import { Unreachable } from '@troupe/client/errors'
import { useEffect, useRef, useState } from 'react'
import { needsLogin } from '../lib/api.ts'
import { onKey, pressIn } from '../lib/keys.ts'
import { approvalsQuery, infoQuery } from '../lib/queries.ts'
import { type Language, LANGUAGES, useSpeech } from '../words/use-words.tsx'
import { Dialog } from './confirm-dialog.tsx'
import { Login } from './login.tsx'
import { Icon, type IconName } from './icon.tsx'
import { Palette } from './palette.tsx'
import { SentDialog } from './sent-dialog.tsx'

/** Pages that a phone's rail has no room for; its settings lead to them. */
const RARE: ReadonlySet<string> = new Set([
  '/agents',
  '/skills',
  '/environments',
  '/schedules',
  '/files',
  '/webhooks',
  '/keys',
  '/audit',
])

/** Rail, banner and the keys that work everywhere, around each page. */
export function Shell() {
  const { words, language, speak } = useSpeech()
  const { pathname } = useLocation()
  const navigate = useNavigate()
  const info = useQuery(infoQuery)
  const approvals = useQuery(approvalsQuery())
  const [dialog, setDialog] = useState<'palette' | 'keys' | 'sent' | null>(null)
  const prefix = useRef(-Infinity)
  const waiting = approvals.data?.data.length ?? 0

  useEffect(() => {
    const after = (go: () => unknown, otherwise?: () => unknown) => () =>
      performance.now() - prefix.current < 1_000 ? go() : otherwise?.()
    const undo = onKey({
      g: () => (prefix.current = performance.now()),
      a: after(
        () => navigate({ to: '/approvals' }),
        () => pressIn('a'),
      ),
      d: () => pressIn('d'),
      e: () => pressIn('e'),
      n: after(() => navigate({ to: '/' })),
      '?': () => setDialog('keys'),
    })
    return undo
  }, [navigate])
  useEffect(() => {
    // Its own listener: `o` is a page's as well, and the palette opens while one writes.
    const listen = (event: KeyboardEvent) => {
      if ((event.metaKey || event.ctrlKey) && event.key.toLowerCase() === 'k') {
        event.preventDefault()
        setDialog('palette')
      }
      if (event.key === 'o' && performance.now() - prefix.current < 1_000) {
        prefix.current = -Infinity
        event.stopImmediatePropagation()
        event.preventDefault()
        void navigate({ to: '/overview' })
      }
    }
    document.addEventListener('keydown', listen, true)
    return () => document.removeEventListener('keydown', listen, true)
  }, [navigate])

  const item = (
    to:
      | '/'
      | '/approvals'
      | '/overview'
      | '/agents'
      | '/skills'
      | '/environments'
      | '/schedules'
      | '/files'
      | '/webhooks'
      | '/keys'
      | '/audit'
      | '/settings',
    icon: IconName,
    name: string,
    on: boolean,
    n = 0,
  ) => (
    <Link to={to} className={RARE.has(to) ? 'item hide-phone' : 'item'} aria-current={on ? 'page' : undefined}>
      <Icon name={icon} />
      <span>{name}</span>
      {n > 0 && (
        <span className="count" data-count={n}>
          {n}
        </span>
      )}
    </Link>
  )
  const source = info.data?.model.source
  return (
    <div className="shell">
      <a href="#content" className="sr">
        {words.skip}
      </a>
      <nav className="rail" aria-label={words.navigation}>
        <Link to="/" className="brand">
          <img src="/icon.svg" alt="" />
          Troupe
        </Link>
        {item('/', 'sessions', words.sessions, pathname === '/' || pathname.startsWith('/s/'))}
        {item('/approvals', 'approvals', words.approvals, pathname === '/approvals', waiting)}
        {item('/overview', 'overview', words.overview, pathname === '/overview')}
        {item('/agents', 'agent', words.agents.title, pathname.startsWith('/agents'))}
        {item('/skills', 'book', words.skills.title, pathname === '/skills')}
        {item('/environments', 'globe', words.environments.title, pathname === '/environments')}
        {item('/schedules', 'clock', words.schedules.title, pathname === '/schedules')}
        {item('/files', 'file', words.files.title, pathname === '/files')}
        {item('/webhooks', 'plug', words.webhooks.title, pathname === '/webhooks')}
        {item('/keys', 'key', words.access.title, pathname === '/keys')}
        {item('/audit', 'list', words.audit.title, pathname === '/audit')}
        {item('/settings', 'settings', words.settings, pathname === '/settings')}
        <div className="foot">
          <a href="/docs" className="small">
            {words.apiReference}
          </a>
          <button type="button" className="link small" onClick={() => setDialog('sent')}>
            {words.sent.title}
          </button>
          <select
            aria-label={words.language}
            value={language}
            onChange={(event) => speak(event.target.value as Language)}
          >
            {Object.entries(LANGUAGES).map(([tag, { name }]) => (
              <option key={tag} value={tag} lang={tag}>
                {name}
              </option>
            ))}
          </select>
        </div>
      </nav>
      <div className="main">
        {info.error instanceof Unreachable ? (
          <div className="banner" role="alert">
            {words.offline}
          </div>
        ) : (
          (source === 'demo' || source === 'none') && (
            <aside className="banner" data-banner={source} aria-label={words.settingsPage.model}>
              {source === 'demo' ? words.demo : words.noModel}
            </aside>
          )
        )}
        {needsLogin(info.error) ? <Login /> : <Outlet />}
      </div>
      {dialog === 'palette' && <Palette close={() => setDialog(null)} sent={() => setDialog('sent')} />}
      {dialog === 'sent' && <SentDialog close={() => setDialog(null)} />}
      {dialog === 'keys' && (
        <Dialog title={words.keys.title} close={() => setDialog(null)}>
          <div className="body">
            <h2>{words.keys.title}</h2>
            <dl className="keys">
              {words.keys.list.map(([key, what]) => (
                <div key={key} style={{ display: 'contents' }}>
                  <dt>
                    <kbd>{key}</kbd>
                  </dt>
                  <dd>{what}</dd>
                </div>
              ))}
            </dl>
            <div className="row">
              <span className="grow" />
              <button type="button" autoFocus onClick={() => setDialog(null)}>
                {words.close}
              </button>
            </div>
          </div>
        </Dialog>
      )}
    </div>
  )
}

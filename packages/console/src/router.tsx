import { createRootRoute, createRoute, createRouter, lazyRouteComponent, Link } from '@tanstack/react-router'
import { Shell } from './components/shell.tsx'
import { Home } from './routes/home.tsx'
import { useWords } from './words/use-words.tsx'

function Nowhere() {
  const words = useWords()
  return (
    <main className="page" id="content">
      <div className="empty stack">
        <h1>{words.nowhere}</h1>
        <p>
          <Link to="/">{words.newSession}</Link>
        </p>
      </div>
    </main>
  )
}

const root = createRootRoute({ component: Shell, notFoundComponent: Nowhere })
const routes = [
  createRoute({
    getParentRoute: () => root,
    path: '/',
    component: Home,
    /** The saved agent and the environment that the form begins with. */
    validateSearch: ({ agent, environment }: Record<string, unknown>): { agent?: string; environment?: string } => ({
      ...(typeof agent === 'string' && { agent }),
      ...(typeof environment === 'string' && { environment }),
    }),
  }),
  createRoute({
    getParentRoute: () => root,
    path: '/s/$id',
    /** The subagent whose transcript is shown instead of the session's own. */
    validateSearch: ({ thread }: Record<string, unknown>): { thread?: string } =>
      typeof thread === 'string' ? { thread } : {},
    component: lazyRouteComponent(() => import('./routes/session.tsx'), 'SessionPage'),
  }),
  createRoute({
    getParentRoute: () => root,
    path: '/approvals',
    component: lazyRouteComponent(() => import('./routes/approvals.tsx'), 'ApprovalsPage'),
  }),
  createRoute({
    getParentRoute: () => root,
    path: '/overview',
    component: lazyRouteComponent(() => import('./routes/overview.tsx'), 'OverviewPage'),
  }),
  createRoute({
    getParentRoute: () => root,
    path: '/agents',
    component: lazyRouteComponent(() => import('./routes/agents.tsx'), 'AgentsPage'),
  }),
  createRoute({
    getParentRoute: () => root,
    path: '/agents/$id',
    component: lazyRouteComponent(() => import('./routes/agent.tsx'), 'AgentPage'),
  }),
  createRoute({
    getParentRoute: () => root,
    path: '/skills',
    component: lazyRouteComponent(() => import('./routes/skills.tsx'), 'SkillsPage'),
  }),
  createRoute({
    getParentRoute: () => root,
    path: '/environments',
    component: lazyRouteComponent(() => import('./routes/environments.tsx'), 'EnvironmentsPage'),
  }),
  createRoute({
    getParentRoute: () => root,
    path: '/schedules',
    component: lazyRouteComponent(() => import('./routes/schedules.tsx'), 'SchedulesPage'),
  }),
  createRoute({
    getParentRoute: () => root,
    path: '/files',
    component: lazyRouteComponent(() => import('./routes/files.tsx'), 'FilesPage'),
  }),
  createRoute({
    getParentRoute: () => root,
    path: '/audit',
    component: lazyRouteComponent(() => import('./routes/audit.tsx'), 'AuditPage'),
  }),
  createRoute({
    getParentRoute: () => root,
    path: '/keys',
    component: lazyRouteComponent(() => import('./routes/keys.tsx'), 'KeysPage'),
  }),
  createRoute({
    getParentRoute: () => root,
    path: '/webhooks',
    component: lazyRouteComponent(() => import('./routes/webhooks.tsx'), 'WebhooksPage'),
  }),
  createRoute({
    getParentRoute: () => root,
    path: '/settings',
    component: lazyRouteComponent(() => import('./routes/settings.tsx'), 'SettingsPage'),
  }),
] as const

export const router = createRouter({ routeTree: root.addChildren(routes), scrollRestoration: false })

declare module '@tanstack/react-router' {
  interface Register {
    router: typeof router
  }
}

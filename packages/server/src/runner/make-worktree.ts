import { idToUuid } from '@troupe/protocol/ids'
import { changeSession } from '../sessions/change-session.ts'
import { newEvent } from '../sessions/new-event.ts'
import { noteWorktree, pendingWorktree, resolveWorktree } from '../sessions/worktree.ts'
import type { SessionRow } from '../store/session-row.ts'
import type { TurnRow } from '../store/turns.ts'
import { commandEnv } from './command-env.ts'
import { runCommand } from './run-command.ts'
import type { RunContext } from './run-context.ts'
import { SetupProblem } from './set-up.ts'

/** Milliseconds that it may take to lay out a worktree. */
const MAX_MS = 10 * 60_000

/**
 * What git is asked to do, as the agent would ask it: filters of the repository run with the rights of agents, hooks do
 * not run. The workdir becomes the worktree where it lies, with what is in it: nothing that is there is written over. An
 * attempt that was cut off is undone first; a branch that has commits of its own is left alone.
 */
const SCRIPT = `set -eu
git() { command git -c core.hooksPath=/dev/null -c core.fsmonitor=false -c safe.directory='*' -c gc.auto=0 "$@"; }
if [ -f .git ]; then rm -f .git; fi
if [ -e .git ]; then echo 'something else is at .git' >&2; exit 1; fi
rm -rf "$AT_COMMON/worktrees/$AT_NAME"
branch=$AT_BRANCH
n=2
while held=$(git --git-dir="$AT_COMMON" rev-parse -q --verify "refs/heads/$branch"); do
  if [ "$held" = "$AT_COMMIT" ]; then git --git-dir="$AT_COMMON" update-ref -d "refs/heads/$branch" "$held"; break; fi
  branch=$AT_BRANCH-$n
  n=$((n + 1))
done
place=$(mktemp -d)
git --git-dir="$AT_COMMON" worktree add -q --no-checkout -b "$branch" "$place/$AT_NAME" "$AT_COMMIT" >&2
printf 'gitdir: %s\\n' "$AT_COMMON/worktrees/$AT_NAME" > .git
printf '%s\\n' "$PWD/.git" > "$AT_COMMON/worktrees/$AT_NAME/gitdir"
rm -rf "$place"
git read-tree HEAD
if [ "$AT_FILLED" = no ]; then
  git checkout-index -q -a >&2 || true
  if [ -n "$(git ls-files -d | head -n 1)" ]; then echo 'not all files could be laid out' >&2; exit 1; fi
fi
git update-index -q --refresh >/dev/null || true
printf 'branch: %s\\n' "$branch"
`

/**
 * Makes the workdir of a session a worktree of the repository that its environment names, on a branch of its own. That
 * it is there is one transaction behind it: until then it is made anew. The caller has the workdir's lock. Throws
 * `SetupProblem`.
 */
export async function makeWorktree(
  context: RunContext,
  session: SessionRow,
  turn: TurnRow,
  signal: AbortSignal,
): Promise<void> {
  const config = pendingWorktree(session)
  if (!config) return
  const { sessions } = context
  const { repository } = config
  const from = session.options.worktreeFrom
  const failed = (why: string) =>
    new SetupProblem(`No worktree of ${repository} could be made: ${why}`, { repository }, 'worktree_failed')
  const { path } = sessions.repositories.git
  const base = from === undefined ? config.base : from
  const { common, commit } = await resolveWorktree({ repository, base }, path).catch((error: unknown) => {
    const said = (error as { stderr?: string }).stderr?.trim()
    throw failed(said || `it is no git repository, or ${base ?? 'HEAD'} is no commit of it.`)
  })
  const name = idToUuid(session.id)
  const branch = config.branch_prefix + name
  await noteWorktree(sessions.settings.sessionsDir, session.id, { common, branch, commit })
  const whole = context.prepareEnv(session)
  const env = {
    ...commandEnv(whole, session.options),
    AT_COMMON: common,
    AT_NAME: name,
    AT_BRANCH: branch,
    AT_COMMIT: commit,
    AT_FILLED: from === undefined ? 'no' : 'yes',
  }
  const late = AbortSignal.timeout(MAX_MS)
  try {
    const stop = AbortSignal.any([signal, late])
    const end = await runCommand(context.agent, {
      session,
      command: SCRIPT,
      env,
      signal: stop,
    })
    if (signal.aborted) throw failed('it was stopped.')
    if (late.aborted) throw failed(`it took longer than ${MAX_MS / 1000} s.`)
    const made = /^branch: (.+)$/m.exec(end.said)?.[1]
    if (end.error || end.code !== 0 || made === undefined)
      throw failed(end.error?.message ?? (end.said.trim().slice(-500) || `git exited with code ${end.code}.`))
    await changeSession(sessions, session.id, ({ session: now }, at) => ({
      epoch: session.epoch,
      session: { options: { ...now.options, worktree: { repository, branch: made } } },
      events: [newEvent('session.worktree_created', turn.id, at, { repository, branch: made, commit })],
    }))
  } finally {
    context.agent.gone?.(whole)
  }
}

import type { CommandDef } from 'citty'

export interface CommandEntry {
  /** One line of `troupe --help`. */
  summary: string
  /** Takes any number of arguments. */
  rest?: true
  /** Imported only when the command is used: `--help` stays fast. */
  // oxlint-disable-next-line typescript/no-explicit-any -- citty's own type for a command with any arguments
  load(): Promise<{ command: CommandDef<any> }>
}

/** Every command, in the order in which the help shows them. */
export const COMMANDS: ReadonlyMap<string, CommandEntry> = new Map<string, CommandEntry>([
  ['serve', { summary: 'Start a server', load: () => import('./commands/serve.ts') }],
  ['run', { summary: 'Give an agent a task and watch it work', rest: true, load: () => import('./commands/run.ts') }],
  ['ls', { summary: 'List sessions, newest first', load: () => import('./commands/ls.ts') }],
  ['queue', { summary: 'Show who waits, who runs, and why', load: () => import('./commands/queue.ts') }],
  ['show', { summary: 'Show a session', load: () => import('./commands/show.ts') }],
  ['logs', { summary: "Print a session's log, and follow it", load: () => import('./commands/logs.ts') }],
  ['send', { summary: 'Send a message to a session', rest: true, load: () => import('./commands/send.ts') }],
  ['wait', { summary: 'Wait until a session is idle', load: () => import('./commands/wait.ts') }],
  ['cancel', { summary: 'Stop the turn that runs', load: () => import('./commands/cancel.ts') }],
  ['diff', { summary: 'Show what changed in the workdir', load: () => import('./commands/diff.ts') }],
  ['fork', { summary: 'Go on from a session in a new one', load: () => import('./commands/fork.ts') }],
  ['rewind', { summary: 'Set a session back to a turn', load: () => import('./commands/rewind.ts') }],
  ['export', { summary: 'Take a session out, to read or to go on with', load: () => import('./commands/export.ts') }],
  ['import', { summary: 'Go on with a conversation of Claude Code', load: () => import('./commands/import.ts') }],
  ['rm', { summary: 'Delete sessions for good', rest: true, load: () => import('./commands/rm.ts') }],
  ['usage', { summary: 'Show what was used, by day, model, …', load: () => import('./commands/usage.ts') }],
  ['keys', { summary: 'Make, list, rotate and revoke keys', load: () => import('./commands/keys.ts') }],
  ['workspaces', { summary: 'List and make workspaces', load: () => import('./commands/workspaces.ts') }],
  ['doctor', { summary: 'Check whether a server can run here', load: () => import('./commands/doctor.ts') }],
  ['config', { summary: 'Print the settings as they hold', load: () => import('./commands/config.ts') }],
  ['backup', { summary: 'Copy the data folder while its server runs', load: () => import('./commands/backup.ts') }],
  ['restore', { summary: 'Make a data folder from a backup', load: () => import('./commands/restore.ts') }],
  ['demo-model', { summary: 'Serve the demo model alone', load: () => import('./commands/demo-model.ts') }],
])

/**
 * Texts that Claude Code writes into a conversation by itself, as seen with 2.1.330. They stand where a prompt could
 * stand, and must not be taken for one.
 */
const HARNESS_TEXTS: readonly RegExp[] = [
  /^$/,
  /^\[Request interrupted by user/,
  /^No response requested\.$/,
  /^Continue from where you left off\./,
  /^This session's worker process was restarted\./,
  /^This session is being continued from /,
  /^Stop hook feedback:/,
  /^\[structured-output-enforce\]/,
  /^Your response was cut off because /,
  /^The previous response failed to produce a valid tool call\./,
  /^Your tool call was malformed /,
  /^Base directory for this skill:/,
  /^Tool loaded\.$/,
  /^<(task-notification|local-command-\w+|command-(name|message|args)|bash-(input|stdout|stderr))>/,
]

const REMINDER = /<system-reminder>[\s\S]*?<\/system-reminder>/g

/** Sent in mid-turn: a system message with newer models, a reminder inside the tool result with older ones. */
const STEER =
  /The user sent a new message while you were working:\n([\s\S]*?)(?=\n\nThis is how Claude Code|\n<\/system-reminder>|$)/g

/** A text without the reminders in it, and without the blank lines before them. */
export function withoutReminders(text: string): string {
  return text.replace(REMINDER, '').trimEnd()
}

/** True for a text the harness wrote, also for one that is empty once its reminders are gone. */
export function isHarnessText(text: string): boolean {
  return HARNESS_TEXTS.some((pattern) => pattern.test(text))
}

export function steersIn(text: string): string[] {
  return [...text.matchAll(STEER)].map((match) => (match[1] ?? '').trim())
}

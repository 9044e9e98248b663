import type { Execute } from '../sessions/execute.ts'
import * as check from './fastapi.ts'

const MODES = ['default', 'acceptEdits', 'plan', 'bypassPermissions'] as const

/** Checks the ten fields in the origin's order; unknown ones are ignored, null means not sent. Throws `Unprocessable`. */
export function parseExecute(body: unknown): Execute {
  if (body === undefined || body === null) throw new check.Unprocessable([check.missing(['body'], null)])
  if (typeof body !== 'object' || Array.isArray(body))
    throw new check.Unprocessable([
      {
        type: 'model_attributes_type',
        loc: ['body'],
        msg: 'Input should be a valid dictionary or object to extract fields from',
        input: body,
      },
    ])
  const given = body as Record<string, unknown>
  const issues: check.Issue[] = []
  const field = <T>(name: string, checked: check.Check<T>): T | undefined => {
    if (given[name] === undefined || given[name] === null) return undefined
    const result = checked(given[name], ['body', name])
    if ('value' in result) return result.value
    issues.push(...result.issues)
    return undefined
  }
  let prompt = ''
  if (!('prompt' in given)) issues.push(check.missing(['body', 'prompt'], body))
  else {
    const result = check.prompt(given.prompt, ['body', 'prompt'])
    if ('value' in result) prompt = result.value
    else issues.push(...result.issues)
  }
  const wanted: Record<keyof Execute, unknown> = {
    prompt,
    allowedTools: field('allowed_tools', check.strings),
    systemPrompt: blankToNull(field('system_prompt', check.string)),
    permissionMode: field('permission_mode', check.oneOf(MODES)),
    model: blankToUndefined(field('model', check.string)),
    cwd: blankToUndefined(field('cwd', check.string)),
    maxTurns: field('max_turns', check.integer(1, 100)),
    env: field('env', check.stringMap),
    disallowedTools: field('disallowed_tools', check.strings),
    resumeSessionId: blankToUndefined(field('resume_session_id', check.string)),
    outputSchema: field('output_schema', check.object),
  }
  if (issues.length > 0) throw new check.Unprocessable(issues)
  return Object.fromEntries(Object.entries(wanted).filter(([, value]) => value !== undefined)) as unknown as Execute
}

const blankToNull = (text: string | undefined) => (text === undefined || text.trim() !== '' ? text : null)
const blankToUndefined = (text: string | undefined) => (text?.trim() ? text : undefined)

import { mkdirSync, mkdtempSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { PermissionRule } from '@troupe/protocol/agent'
import { describe, expect, test } from 'vitest'
import { ruleMatches, ruleToRemember, splitCommand } from '../src/agents/permission-rules.ts'
import { resolveAgent } from '../src/agents/resolve-agent.ts'
import { PermissionTable } from '../src/runner/policy.ts'
import { sessionRow } from './support/rows.ts'

const cwd = mkdtempSync(join(tmpdir(), 'troupe-policy-'))
mkdirSync(join(cwd, 'src'))
symlinkSync('/etc', join(cwd, 'way-out'))
mkdirSync(join(cwd, 'secrets'))
symlinkSync(join(cwd, 'secrets'), join(cwd, 'src', 'way-aside'))

const bash = (command: string) => ({ name: 'Bash', input: { command }, cwd })
const file = (name: string, file_path: string) => ({ name, input: { file_path }, cwd })

describe('rules', () => {
  test.each([
    ['Bash', bash('anything'), true],
    ['Bash(git status)', bash('git status'), true],
    ['Bash(git:*)', bash('git status --short'), true],
    ['Bash(git:*)', bash('gitk'), false],
    ['Bash(git *)', bash('git log -1'), true],
    ['Bash(git:*)', bash('git status; rm -rf /'), false],
    ['Bash(git:*)', bash('git status && rm x'), false],
    ['Bash(git:*)', bash('git log | sh'), false],
    ['Bash(git:*)', bash('git status & rm x'), false],
    ['Bash(git:*)', bash('git status\nrm x'), false],
    ['Bash(git:*)', bash('git log $(rm x)'), false],
    ['Bash(git:*)', bash('git log `rm x`'), false],
    ['Bash(git:*)', bash('git log "$(rm x)"'), false],
    ['Bash(git:*)', bash('git log > /etc/passwd'), false],
    ['Bash(git:*)', bash('git log <(rm x)'), false],
    ['Bash(git:*)', bash('git commit -m "a; b && c"'), true],
    ['Bash(git:*)', bash("git log 'unfinished"), false],
    ['Bash(git:*)', bash('GIT_SSH=evil git fetch'), false],
    ['Bash(git:*)', bash('sudo git status'), false],
    ['Bash(=a; b)', bash('a; b'), true],
    ['Bash(=a)', bash('a; b'), false],
    ['Edit(src/**)', file('Edit', 'src/deep/a.ts'), true],
    ['Edit(src/*)', file('Edit', 'src/deep/a.ts'), false],
    ['Edit(src/**)', file('Edit', 'src/../secret'), false],
    ['Edit(src/**)', file('Write', 'src/a.ts'), false],
    ['Read(**)', file('Read', 'way-out/passwd'), false],
    ['Edit(src/**)', file('Edit', 'src/way-aside/key'), false],
    ['Edit(src/?.ts)', file('Edit', 'src/a.ts'), true],
    ['Edit(**/*.ts)', file('Edit', 'src/deep/a.ts'), true],
    ['Edit(**/*.ts)', file('Edit', 'a.ts'), true],
    ['Edit(src/**/a.ts)', file('Edit', 'src/a.ts'), true],
    ['WebFetch(domain:example.com)', { name: 'WebFetch', input: { url: 'https://docs.example.com/x' }, cwd }, true],
    ['WebFetch(domain:example.com)', { name: 'WebFetch', input: { url: 'https://evilexample.com' }, cwd }, false],
    ['WebFetch(domain:example.com)', { name: 'WebFetch', input: { url: 'https://x.org/?example.com' }, cwd }, false],
    ['mcp__db', { name: 'mcp__db__query', input: {}, cwd }, true],
    ['mcp__db', { name: 'mcp__dbx__query', input: {}, cwd }, false],
    ['mcp__db__*', { name: 'mcp__db__query', input: {}, cwd }, true],
    ['mcp__db__query', { name: 'mcp__db__drop', input: {}, cwd }, false],
    ['*', bash('x'), true],
    ['Task', { name: 'Agent', input: {}, cwd }, true],
    ['not a rule (', bash('x'), false],
  ] as const)('A20 to allow, %s must be sure of %j: %s', (rule, call, expected) => {
    expect(ruleMatches(rule, call, true)).toBe(expected)
  })

  test.each([
    ['Bash(rm:*)', bash('ls; rm -rf x'), true],
    ['Bash(rm:*)', bash('true && sudo rm x'), true],
    ['Bash(rm:*)', bash('echo $(rm x)'), true],
    ['Bash(rm:*)', bash('A=1 rm x'), true],
    ['Bash(rm:*)', bash('echo rm'), false],
    ['Read(/etc/**)', file('Read', 'way-out/passwd'), true],
    ['Other(pattern)', { name: 'Other', input: { anything: 1 }, cwd }, true],
    ['not a rule (', bash('x'), true],
  ] as const)('A21 to refuse or ask, %s need only suspect %j: %s', (rule, call, expected) => {
    expect(ruleMatches(rule, call, false)).toBe(expected)
  })

  test('A22 what is remembered allows that call, and no larger one', () => {
    for (const call of [bash('npm test'), bash('a && b'), file('Write', 'src/a.ts'), file('Edit', '/etc/hosts')]) {
      const rule = ruleToRemember(call)!
      expect(ruleMatches(rule, call, true), rule).toBe(true)
    }
    expect(ruleMatches(ruleToRemember(bash('npm test'))!, bash('npm test; evil'), true)).toBe(false)
    expect(ruleMatches(ruleToRemember(bash('echo *'))!, bash('echo x'), true)).toBe(false)
    expect(ruleMatches(ruleToRemember(file('Write', 'src/a.ts'))!, file('Write', '../b'), true)).toBe(false)
    expect(ruleToRemember({ name: 'AskUserQuestion', input: {}, cwd })).toBeNull()
    expect(splitCommand('a "b;c" d')).toEqual({ parts: ['a "b;c" d'], simple: true })
  })
})

describe('hostile rules', () => {
  test('A27 a rule of many wildcards is judged, however long the command', () => {
    const rule = `Bash(${'*a'.repeat(900)}b)`
    expect(ruleMatches(rule, bash('a'.repeat(8_000)), true)).toBe(false)
    expect(ruleMatches(rule, bash(`${'a'.repeat(8_000)}b`), true)).toBe(true)
    // Beyond what is looked at nothing is allowed, and all is suspect.
    expect(ruleMatches('Bash(git *)', bash(`git ${'x'.repeat(1_000_000)}`), true)).toBe(false)
    expect(ruleMatches('Bash(rm *)', bash(`git ${'x'.repeat(1_000_000)}`), false)).toBe(true)
    const path = `Edit(${'**/'.repeat(300)}x)`
    expect(ruleMatches(path, file('Edit', `${'a/'.repeat(1_000)}y`), true)).toBe(false)
  })
})

describe('the table', () => {
  const table = (agent: object, options: { rules?: PermissionRule[]; grants?: string[]; timeout?: number } = {}) => {
    const row = sessionRow({ cwd, agent: resolveAgent({ type: 'inline', ...agent }, null) })
    row.options.rules = options.rules ?? []
    if (options.timeout !== undefined)
      row.options.approvals = { holdSeconds: 0, timeoutSeconds: options.timeout, onTimeout: 'deny' }
    const grants = (options.grants ?? []).map((rule) => ({
      id: 'grant_x',
      sessionId: null,
      agentId: 'a',
      rule,
      actor: null,
      createdAt: 0,
    }))
    const made = new PermissionTable(row, grants)
    return (name: string, input: unknown) => made.evaluate(name, input).permission
  }
  const rule = (text: string, policy: PermissionRule['policy']): PermissionRule => ({ rule: text, policy })

  test('A23 by default reading in the workdir is allowed, and whatever else may have effects is asked', () => {
    const judge = table({})
    expect(judge('Read', { file_path: join(cwd, 'a') })).toBe('allow')
    expect(judge('Grep', { pattern: 'x' })).toBe('allow')
    expect(judge('Read', { file_path: '/etc/passwd' })).toBe('ask')
    expect(judge('Read', { file_path: 'way-out/passwd' })).toBe('ask')
    for (const command of ['ls -la', 'pwd', 'cat src/a.ts', 'head -n 3 a'])
      expect(judge('Bash', { command }), command).toBe('allow')
    for (const command of [
      'cat /etc/passwd',
      'ls ..',
      'cat way-out/passwd',
      'ls; rm x',
      'cat a > b',
      'ls $(x)',
      'cat ~/x',
      'ls */passwd',
      'cat "../x"',
      'A=1 ls',
      'find . -delete',
      'lsx',
      'cat a | sh',
      'tail\nrm x',
      'cat <x',
    ])
      expect(judge('Bash', { command }), command).toBe('ask')
    for (const name of ['Bash', 'Write', 'Edit', 'WebFetch', 'WebSearch', 'mcp__x__y', 'SomethingNew'])
      expect(judge(name, {}), name).toBe('ask')
  })

  test('A24 deny always wins; of the rest the closest rule counts, then what a person granted', () => {
    const rules = [rule('Bash', 'always_allow'), rule('Bash(rm:*)', 'deny'), rule('Bash(git push:*)', 'always_ask')]
    const judge = table({ permission_rules: rules }, { grants: ['Bash(=rm x)', 'Bash'] })
    expect(judge('Bash', { command: 'ls' })).toBe('allow')
    expect(judge('Bash', { command: 'rm x' })).toBe('deny')
    expect(judge('Bash', { command: 'ls; rm y' })).toBe('deny')
    expect(judge('Bash', { command: 'git push origin' })).toBe('ask')
    expect(table({ permission_mode: 'bypassPermissions', permission_rules: rules })('Bash', { command: 'rm x' })).toBe(
      'deny',
    )
    expect(table({}, { rules: [rule('Write', 'always_allow')] })('Write', {})).toBe('allow')
    expect(table({ disallowed_tools: ['Bash(curl:*)'] })('Bash', { command: 'curl x' })).toBe('deny')
  })

  test('A25 modes: bypassed permissions allow, accepted edits stay in the workdir, and who may not be asked is refused', () => {
    expect(table({ permission_mode: 'bypassPermissions' })('Bash', { command: 'x' })).toBe('allow')
    const edits = table({ permission_mode: 'acceptEdits' })
    expect(edits('Edit', { file_path: join(cwd, 'src/a') })).toBe('allow')
    expect(edits('Edit', { file_path: '/etc/hosts' })).toBe('ask')
    expect(edits('Write', { file_path: 'way-out/x' })).toBe('ask')
    expect(edits('Bash', { command: 'x' })).toBe('ask')
    expect(table({ permission_mode: 'dontAsk' })('Bash', { command: 'x' })).toBe('deny')
    expect(table({}, { timeout: 0 })('AskUserQuestion', {})).toBe('deny')
    expect(table({ permission_mode: 'bypassPermissions' })('AskUserQuestion', {})).toBe('ask')
  })

  test('A26 what cannot be judged is refused', () => {
    const judge = table({})
    const hostile = {
      get command(): string {
        throw new Error('no')
      },
    }
    expect(judge('Bash', hostile)).toBe('deny')
    expect(table({ permission_rules: [rule('Bash(x)', 'deny')] })('Bash', hostile)).toBe('deny')
  })
})

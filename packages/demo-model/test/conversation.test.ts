import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { chooseStep } from '../src/choose-step.ts'
import { callerOf } from '../src/conversation.ts'
import { assistant, calls, notification, read, reminder, results, steer, system, user } from './talk.ts'

describe('the prompt', () => {
  test('is the last text of a person, beside reminders of any number', () => {
    const { prompt, step } = read(
      user(reminder('Today is Monday.'), reminder('x'), 'list files'),
      system('# Environment'),
    )
    expect({ prompt, step }).toEqual({ prompt: 'list files', step: 0 })
  })

  test('may be a plain string, with a reminder in the same text', () => {
    expect(read({ role: 'user', content: `${reminder('x')}list files` }).prompt).toBe('list files')
  })

  test.each([
    [
      'an interrupted turn',
      [user('one'), calls('a'), results('a'), user('[Request interrupted by user for tool use]\n', 'two')],
    ],
    [
      'an interrupted text',
      [
        user('one'),
        assistant('par'),
        user('[Request interrupted by user]'),
        assistant('No response requested.'),
        user('two'),
      ],
    ],
    ['a crash', [user('one'), calls('a'), results('a'), assistant('No response requested.'), user('two')]],
    [
      'a compaction',
      [user('This session is being continued from a previous conversation that ran out of context.', 'two')],
    ],
    [
      'a local command',
      [user('one', '<command-name>/compact</command-name>', '<local-command-stdout>ok</local-command-stdout>', 'two')],
    ],
  ])('is the new one after %s', (_, messages) => {
    const { prompt, step } = read(...messages)
    expect({ prompt, step }).toEqual({ prompt: 'two', step: 0 })
  })

  test.each([
    ['Continue from where you left off.'],
    ['Stop hook feedback:\ndo more'],
    ['[structured-output-enforce] You MUST call the StructuredOutput tool to complete this request.'],
    ['Your response was cut off because it exceeded the output token limit. Continue.'],
  ])('is not %j', (text) => {
    const { prompt, step } = read(user('one'), calls('a'), results('a'), assistant('done'), user(text))
    expect({ prompt, step }).toEqual({ prompt: 'one', step: 2 })
  })

  test('is not the notification of a background task', () => {
    const { prompt, step } = read(user('one'), calls('a'), results('a'), assistant('started'), notification)
    expect({ prompt, step }).toEqual({ prompt: 'one', step: 2 })
  })

  test('is not a message sent in mid-turn, which is heard in either form', () => {
    const newer = read(user('one'), calls('a'), results('a'), system(steer('faster')))
    const older = read(user('one'), calls('a'), {
      role: 'user',
      content: [{ type: 'tool_result', tool_use_id: 'a', content: `ok\n\n${reminder(steer('faster'))}` }],
    })
    expect(newer).toMatchObject({ prompt: 'one', step: 1, steers: ['faster'] })
    expect(older).toMatchObject({ prompt: 'one', step: 1, steers: ['faster'], results: [{ text: 'ok' }] })
  })

  test('is a message sent in mid-turn that brings its own script', () => {
    const script = '```script\n[{"say":"new"}]\n```'
    const conversation = read(user('one'), calls('a'), results('a'), system(steer(script)))
    expect(conversation).toMatchObject({ prompt: script, step: 0 })
    expect(chooseStep(conversation, undefined)).toEqual({ say: 'new' })
  })

  test('may be a picture without words', () => {
    const picture = { role: 'user', content: [{ type: 'image', source: {} }] }
    expect(read(user('one'), assistant('ok'), picture)).toMatchObject({ prompt: '', step: 0, promptNumber: 2 })
  })
})

describe('the step', () => {
  test('counts a response once, though it was split over messages', () => {
    expect(read(user('one'), assistant('I will.'), calls('a', 'b'), results('a', 'b')).step).toBe(1)
  })

  test('has the results in the order of the calls, not of their arrival', () => {
    const { results: found } = read(user('one'), calls('a', 'b'), results('b', 'a'))
    expect(found.map((result) => result.text)).toEqual(['result of a', 'result of b'])
  })

  test('follows the script through tools, crashes, steers and notifications', () => {
    const noise = fc.constantFrom(
      [],
      [system('# Environment')],
      [system(steer('faster'))],
      [notification],
      [user('Continue from where you left off.')],
      [user(reminder('x'))],
    )
    const property = fc.property(fc.array(noise, { minLength: 1, maxLength: 8 }), fc.boolean(), (noises, by) => {
      const steps = noises.map((_, index) => ({ say: `step ${index}`, tools: [{ name: 'Bash', input: {} }] }))
      const fence = `Please play\n\`\`\`script\n${JSON.stringify(steps)}\n\`\`\`\nthank you`
      const messages: unknown[] = [user('earlier'), assistant('done'), user(by ? 'anything' : fence)]
      for (const [index, between] of noises.entries()) {
        expect(chooseStep(read(...messages), by ? steps : undefined)).toEqual(steps[index])
        messages.push(calls(`toolu_${index}`), results(`toolu_${index}`), ...between)
      }
      expect(chooseStep(read(...messages), by ? steps : undefined).say).toBe('That is the end of my script.')
    })
    fc.assert(property, { numRuns: 200 })
  })

  test('of a subagent comes from its own prompt, not from the script of the session', () => {
    const parent = read(user('look around'))
    const subagent = { ...parent, agentId: 'a1' }
    expect(chooseStep(parent, [{ say: 'scripted' }])).toEqual({ say: 'scripted' })
    expect(chooseStep(subagent, [{ say: 'scripted' }]).tools?.[0]?.name).toBe('Bash')
  })

  test('of a broken fence says what is wrong', () => {
    expect(chooseStep(read(user('```script\n[{"say":1}]\n```')), undefined).say).toContain(
      'steps[0].say must be a string',
    )
    expect(chooseStep(read(user('```script\n[oops\n```')), undefined).say).toContain('cannot be played')
  })
})

describe('the caller', () => {
  const id = '0f93371c-d8b8-4d30-a025-7d6c4d1b2677'

  test.each([
    [{ 'x-claude-code-session-id': id }, null],
    [{}, `{"device_id":"d","account_uuid":"","session_id":"${id}"}`],
    [{}, `user_abc_account__session_${id}`],
  ])('is named by header or metadata', (headers, userId) => {
    expect(callerOf(headers, userId)).toEqual({ sessionId: id, agentId: null })
  })

  test('may be unknown', () => {
    expect(callerOf({}, null)).toEqual({ sessionId: null, agentId: null })
  })
})

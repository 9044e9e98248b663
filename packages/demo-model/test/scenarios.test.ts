import { describe, expect, test } from 'vitest'
import { readConversation } from '../src/conversation.ts'
import { scenarioFor } from '../src/scenarios.ts'
import type { Step } from '../src/step.ts'
import { assistant, bash, calls, read, requestOf, results, steer, system, user } from './talk.ts'

const TOOLS = ['Bash', 'Write', 'Agent', 'AskUserQuestion']

function play(prompt: string, tools = TOOLS): Step[] {
  const request = requestOf([user(prompt)], { tools: tools.map((name) => ({ ...bash, name })) })
  return scenarioFor(readConversation(request, { sessionId: null, agentId: null }))
}

/** The tools of a scenario in order, or what else is special about its first step. */
function outline(steps: Step[]): string {
  const tools = steps.flatMap((step) => step.tools ?? []).map((tool) => tool.name)
  if (tools.length > 0) return tools.join(' ')
  const { fail, hang, stream, think } = steps[0] ?? {}
  if (fail) return `fail ${fail.status} ${fail.times ?? 'always'}`
  if (hang) return `hang ${hang}`
  return stream ? 'stream' : think ? 'think' : 'say'
}

describe('a prompt in plain words', () => {
  test.each([
    ['I am a visitor. Please introduce yourself.', 'say'],
    ['Look around', 'Bash'],
    ['What files are in this directory?', 'Bash'],
    ['Write a file named notes.txt', 'Write'],
    ['Write and run a small program', 'Write Bash'],
    ['Use several tools at once', 'Bash Bash Bash'],
    ['Run a slow command', 'Bash'],
    ['Start a subagent', 'Agent'],
    ['Ask me a question', 'AskUserQuestion'],
    ['Think aloud', 'think'],
    ['Stream a long text slowly', 'stream'],
    ['Fail twice with 529', 'fail 529 2'],
    ['fail once with 500', 'fail 500 1'],
    ['always fail with 429', 'fail 429 always'],
    ['Hang', 'hang true'],
    ['Hang halfway', 'hang mid'],
    ['What is the meaning of life?', 'say'],
    ['Hang on, what is this?', 'say'],
    ['Write 500 words about cats', 'say'],
    ['Create hello.py', 'Write'],
    ['A hello world in Rust', 'Write Bash'],
  ])('%j plays %s', (prompt, expected) => {
    expect(outline(play(prompt))).toBe(expected)
  })

  test.each([
    ['自己紹介してください', 'say'],
    ['ファイルを見せて', 'Bash'],
    ['notes.txt というファイルを作って', 'Write'],
    ['小さなプログラムを書いて実行して', 'Write Bash'],
    ['複数のツールを同時に使って', 'Bash Bash Bash'],
    ['時間のかかるコマンドを実行して', 'Bash'],
    ['サブエージェントを使って', 'Agent'],
    ['質問して', 'AskUserQuestion'],
    ['考えながら答えて', 'think'],
    ['ゆっくり長い文章を書いて', 'stream'],
    ['529 で 2 回失敗して', 'fail 529 2'],
    ['500 でずっと失敗して', 'fail 500 always'],
    ['ハングして', 'hang true'],
    ['途中でハングして', 'hang mid'],
  ])('%j plays %s, in Japanese', (prompt, expected) => {
    const steps = play(prompt)
    expect(outline(steps)).toBe(expected)
    expect(steps.map((step) => step.say ?? '').join('')).toMatch(/[ぁ-ん]|^$/)
  })

  test('every line of the menu plays something other than the menu', () => {
    for (const hello of ['hello', 'こんにちは']) {
      const lines = [...(play(hello)[0]?.say ?? '').matchAll(/^- \*\*(.+?)\*\*/gm)].map((match) => match[1] ?? '')
      expect(lines.length).toBeGreaterThan(8)
      for (const line of lines) expect(outline(play(line)), line).not.toBe('say')
    }
  })

  test('the introduction says that this is a script and not a language model', () => {
    expect(play('Please introduce yourself.')[0]?.say).toContain("Troupe's demo model: a script, not a language model")
    expect(play('自己紹介')[0]?.say).toContain('言語モデルではなく台本')
  })

  test('anything else is repeated, cut to 200 characters', () => {
    const say = play(`Zzz ${'y'.repeat(300)}`)[0]?.say ?? ''
    expect(say).toContain(`> Zzz ${'y'.repeat(196)}…\n`)
  })

  test('without the tool it needs, it names those there are', () => {
    expect(play('look around', ['Read'])).toEqual([{ say: expect.stringContaining('Its tools: Read.') }])
  })

  test('the last step quotes what the tool returned', () => {
    const steps = scenarioFor(read(user('look around'), calls('a'), results('a')))
    expect(steps[1]?.say).toContain('```\nresult of a\n```')
  })

  test('a message sent in mid-turn is acknowledged by the next step only', () => {
    const messages = [user('look around'), calls('a'), results('a'), system(steer('faster'))]
    expect(scenarioFor(read(...messages))[1]?.say).toContain('> faster')
    expect(
      scenarioFor(read(...messages, assistant('done'), user('Continue from where you left off.')))[1]?.say,
    ).not.toContain('faster')
  })

  test('an output format is answered with a sample that fits it', () => {
    const schema = {
      type: 'object',
      properties: { name: { type: 'string' }, n: { type: 'integer', minimum: 3 }, kind: { enum: ['x', 'y'] } },
      required: ['name', 'n', 'kind'],
    }
    const request = requestOf([user('Ada')], { tools: [{ name: 'StructuredOutput', input_schema: schema }] })
    const steps = scenarioFor(readConversation(request, { sessionId: null, agentId: null }))
    expect(steps[0]?.tools).toEqual([{ name: 'StructuredOutput', input: { name: 'Ada', n: 3, kind: 'x' } }])
  })
})

import { sampleOf } from './sample.ts'
import { inWorkdir, missing, quote, type Scene } from './scene.ts'
import type { Step } from './step.ts'

const LIST_COMMAND = 'ls -la'

export function listFiles(scene: Scene): Step[] {
  const absent = missing(scene, 'Bash')
  if (absent) return [{ say: absent }]
  const description = scene.t('List the files of the workdir', '作業ディレクトリの一覧')
  return [
    {
      say: scene.t('I will look around.', '見てみます。'),
      tools: [{ name: 'Bash', input: { command: LIST_COMMAND, description } }],
    },
    {
      say: scene.t('This is what I found:', '見つかったもの:') + `\n\n${quote(scene, scene.results[0])}`,
    },
  ]
}

export function writeFile(scene: Scene): Step[] {
  const absent = missing(scene, 'Write')
  if (absent) return [{ say: absent }]
  const name = /[\w-]+\.(?:txt|md|json|csv|html|js|mjs|ts|py)\b/.exec(scene.prompt)?.[0] ?? 'hello.txt'
  const content = scene.t("Hello from Troupe's demo model.\n", 'Troupe のデモモデルより、こんにちは。\n')
  return [
    {
      say: scene.t(`I will write ${name}.`, `${name} を書きます。`),
      tools: [{ name: 'Write', input: { file_path: inWorkdir(scene, name), content } }],
    },
    { say: scene.t('The Write tool says:', 'Write ツールの返事:') + `\n\n${quote(scene, scene.results[0])}` },
  ]
}

const PROGRAM = `const primes = []
for (let n = 2; primes.length < 10; n++) if (primes.every((p) => n % p !== 0)) primes.push(n)
console.log('The first ten primes:', primes.join(', '))
`

export function runProgram(scene: Scene): Step[] {
  const absent = missing(scene, 'Write', 'Bash')
  if (absent) return [{ say: absent }]
  // Write refuses to replace a file it has not read, so each prompt of a session has its own.
  const name = scene.promptNumber > 1 ? `primes-${scene.promptNumber}.mjs` : 'primes.mjs'
  return [
    {
      say: scene.t(`I will write a small program, ${name}.`, `小さなプログラム ${name} を書きます。`),
      tools: [{ name: 'Write', input: { file_path: inWorkdir(scene, name), content: PROGRAM } }],
    },
    {
      say: scene.t('Now I run it.', '実行します。'),
      tools: [
        {
          name: 'Bash',
          input: { command: `node ${name}`, description: scene.t('Run the program', 'プログラムを実行') },
        },
      ],
    },
    { say: scene.t('It printed:', '出力:') + `\n\n${quote(scene, scene.results[1])}` },
  ]
}

export function useSeveralTools(scene: Scene): Step[] {
  const absent = missing(scene, 'Bash')
  if (absent) return [{ say: absent }]
  const commands = ['date -u', 'uname -sm', LIST_COMMAND]
  const calls = commands.map((command) => ({ name: 'Bash', input: { command, description: command } }))
  const answers = commands.map((command, index) => `\`${command}\`\n${quote(scene, scene.results[index])}`)
  return [
    { say: scene.t('Three calls in one message.', '一つのメッセージで三つ呼びます。'), tools: calls },
    { say: scene.t('All three are back:', '三つとも返ってきました:') + `\n\n${answers.join('\n\n')}` },
  ]
}

export function runSlowCommand(scene: Scene): Step[] {
  const absent = missing(scene, 'Bash')
  if (absent) return [{ say: absent }]
  const command = 'for i in 1 2 3 4 5 6 7 8 9 10; do echo "tick $i"; sleep 1; done'
  const description = scene.t('Count for ten seconds', '十秒数える')
  return [
    {
      say: scene.t('This takes ten seconds.', '十秒ほどかかります。'),
      tools: [{ name: 'Bash', input: { command, description } }],
    },
    { say: scene.t('Done:', '終わりました:') + `\n\n${quote(scene, scene.results[0])}` },
  ]
}

/** In the foreground where the tool lets one choose, so that the report is in the tool result. */
export function startSubagent(scene: Scene): Step[] {
  const name = ['Agent', 'Task'].find((candidate) => scene.tools.has(candidate))
  if (name === undefined) return [{ say: missing(scene, 'Agent') ?? '' }]
  const schema = scene.tools.get(name) ?? {}
  const properties = (schema.properties ?? {}) as Record<string, unknown>
  const required = Array.isArray(schema.required) ? schema.required : []
  const input: Record<string, unknown> = {
    description: scene.t('Look around', '様子を見る'),
    prompt: scene.t('Look around the workdir: list its files.', '作業ディレクトリのファイルを一覧にしてください。'),
  }
  if (required.includes('subagent_type')) input.subagent_type = 'general-purpose'
  if ('run_in_background' in properties) input.run_in_background = false
  return [
    {
      say: scene.t('I will send a subagent to look around.', 'サブエージェントに見てきてもらいます。'),
      tools: [{ name, input }],
    },
    { say: scene.t('The subagent reports:', 'サブエージェントの報告:') + `\n\n${quote(scene, scene.results[0])}` },
  ]
}

export function askQuestion(scene: Scene): Step[] {
  const absent = missing(scene, 'AskUserQuestion')
  if (absent) return [{ say: absent }]
  const options = [
    { label: scene.t('Comedy', '喜劇'), description: scene.t('Everybody laughs', 'みんなが笑う') },
    { label: scene.t('Tragedy', '悲劇'), description: scene.t('Everybody weeps', 'みんなが泣く') },
    { label: scene.t('History', '史劇'), description: scene.t('Everybody nods', 'みんながうなずく') },
  ]
  const question = scene.t('Which play shall we give tonight?', '今夜はどの芝居にしましょうか?')
  const header = scene.t('Play', '演目')
  return [
    { tools: [{ name: 'AskUserQuestion', input: { questions: [{ question, header, multiSelect: false, options }] } }] },
    {
      say:
        scene.t('Thank you. I was told:', 'ありがとうございます。聞いた答え:') +
        `\n\n${quote(scene, scene.results[0])}`,
    },
  ]
}

/** An agent with an output format must answer through this tool: with a sample that fits the schema. */
export function structuredOutput(scene: Scene): Step[] {
  const input = sampleOf(scene.tools.get('StructuredOutput') ?? {}, scene.prompt) as Record<string, unknown>
  return [
    { tools: [{ name: 'StructuredOutput', input }] },
    { say: scene.t('The structured output is delivered.', '構造化出力を渡しました。') },
  ]
}

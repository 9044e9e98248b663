import type { Conversation } from './conversation.ts'
import { introduction, menu } from './introduction.ts'
import { isJapanese } from './language.ts'
import { playFailure, playHang, playStream, playThinking } from './model-scenes.ts'
import type { Scene } from './scene.ts'
import type { Step } from './step.ts'
import {
  listFiles,
  runProgram,
  runSlowCommand,
  askQuestion,
  startSubagent,
  structuredOutput,
  useSeveralTools,
  writeFile,
} from './tool-scenes.ts'

interface Scenario {
  match: RegExp
  play: (scene: Scene) => Step[]
}

/** The first that matches is played, so the unusual ones stand before those whose words also occur by the way. */
const SCENARIOS: readonly Scenario[] = [
  {
    match:
      /\bfail\b|\boverload|\brate.?limit|\b(?:429|529)\b|\b(?:error|status) [45]\d\d\b|with an error|失敗し|失敗さ|エラーを(?:返|起|出)|過負荷/i,
    play: playFailure,
  },
  {
    match: /\bhang\b(?! on\b)|\bfreeze\b|never (?:answer|reply|respond)|ハング|固まって|応答しない|返事をしない/i,
    play: playHang,
  },
  { match: /\bslow(?:ly)? (?:command|tool|task)|long[- ]running|遅いコマンド|時間のかかる/i, play: runSlowCommand },
  {
    match: /\bstream\b|\bslowly\b|\blong (?:text|answer|story)|ゆっくり|長い(?:文|話|物語)|ストリーム/i,
    play: playStream,
  },
  { match: /\bsub-?agent|\bdelegate\b|サブエージェント|委任|別のエージェント/i, play: startSubagent },
  { match: /\bask (?:me|us|a question)\b|質問して|質問を(?:して|出)|聞いてみて|選ばせて/i, play: askQuestion },
  {
    match: /\bseveral\b|\bparallel\b|at once|multiple tools|同時に|並行|並列|複数の(?:ツール|道具)/i,
    play: useSeveralTools,
  },
  { match: /think (?:aloud|out loud|hard)|\bthink about\b|考えて|考えながら|考えを/i, play: playThinking },
  {
    match: /\bprogram\b|\bscript\b|\brun (?:some )?code|プログラム|スクリプト|コードを/i,
    play: runProgram,
  },
  {
    match:
      /\b(?:write|create|make|save)\b.*\bfiles?\b|\b(?:write|create|save) \S+\.\w{1,4}\b|ファイル.*(?:書|作|保存)|を書き込/i,
    play: writeFile,
  },
  { match: /hello,? world/i, play: runProgram },
  {
    match:
      /\b(?:list|show|see|find|which|what)\b.*\b(?:files?|director(?:y|ies)|folder)|\blook around\b|^ls\b|ファイル|フォルダ|ディレクトリ|見て回/i,
    play: listFiles,
  },
  {
    match:
      /introduc|who are you|what (?:are|can) you|^(?:hi|hello|help|hey|good (?:morning|evening|day))\b|自己紹介|あなたは(?:誰|だれ|何)|何ができ|こんにちは|はじめまして|ヘルプ|使い方/i,
    play: (scene) => [{ say: introduction(scene.ja) }],
  },
]

/**
 * The steps of the scene that the prompt's words ask for. Anything else gets a friendly repeat and the menu, a prompt
 * without words (a picture) the introduction. Empty when the conversation holds no prompt.
 */
export function scenarioFor(conversation: Conversation): Step[] {
  if (conversation.prompt === null) return []
  const prompt = conversation.prompt || 'hello'
  const ja = isJapanese(prompt)
  const scene: Scene = { ...conversation, prompt, ja, t: (english, japanese) => (ja ? japanese : english) }
  if (scene.tools.has('StructuredOutput')) return structuredOutput(scene)
  const scenario = SCENARIOS.find((candidate) => candidate.match.test(prompt))
  const steps = scenario ? scenario.play(scene) : [{ say: repeat(scene) }]
  const next = steps[scene.step]
  return next && scene.steers.length > 0 ? steps.with(scene.step, acknowledge(scene, next)) : steps
}

function repeat(scene: Scene): string {
  const asked = scene.prompt.length > 200 ? `${scene.prompt.slice(0, 200)}…` : scene.prompt
  const opening = scene.t(
    `I am Troupe's demo model, a script and not a language model, so I cannot answer this freely. You said:`,
    'Troupe のデモモデルです。台本どおりに動くだけで言語モデルではないため、自由には答えられません。いただいた言葉:',
  )
  return `${opening}\n\n> ${asked.replaceAll('\n', '\n> ')}\n\n${menu(scene.ja)}`
}

/** Shows that a message sent in mid-turn has arrived. */
function acknowledge(scene: Scene, step: Step): Step {
  const heard = scene.steers.map((steer) => `> ${steer.replaceAll('\n', '\n> ')}`).join('\n\n')
  const opening = scene.t('You wrote while I was working:', '作業中にいただいた言葉:')
  return { ...step, say: [`${opening}\n\n${heard}`, step.say ?? ''].join('\n\n').trim() }
}

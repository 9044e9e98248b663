/** What one can ask, one line each, in the words that ask for it. */
export function menu(ja: boolean): string {
  return ja
    ? `お試しください:\n${lines(JAPANESE)}\n\n${SCRIPT_JA}`
    : `Try one of these:\n${lines(ENGLISH)}\n\n${SCRIPT_EN}`
}

export function introduction(ja: boolean): string {
  const opening = ja ? OPENING_JA : OPENING_EN
  return `${opening}\n\n${menu(ja)}`
}

const lines = (entries: readonly (readonly [string, string])[]) =>
  entries.map(([ask, what]) => `- **${ask}**: ${what}`).join('\n')

const OPENING_EN = `Hello! I am Troupe's demo model: a script, not a language model. I look for a few words in your message and \
play a prepared scene, so my answers cost nothing and need no key. The agent around me is the genuine one: the tools I \
call really run, in this session's workdir.`

const OPENING_JA = `こんにちは。Troupe のデモモデルです。言語モデルではなく台本で、メッセージの中の言葉に応じて用意された場面を演じます。\
費用も API キーも要りません。ただしエージェントは本物で、私が呼ぶツールはこのセッションの作業ディレクトリで実際に動きます。`

const ENGLISH = [
  ['Look around', 'lists the files of the workdir'],
  ['Write a file named notes.txt', 'uses the Write tool'],
  ['Write and run a small program', 'writes it, then runs it with node'],
  ['Use several tools at once', 'three tool calls in one message'],
  ['Run a slow command', 'ten seconds of output, good to interrupt'],
  ['Start a subagent', 'hands a small task to another agent'],
  ['Ask me a question', 'calls the question tool; it depends on the server whether somebody can answer'],
  ['Think aloud', 'shows a thinking block'],
  ['Stream a long text slowly', 'about ten seconds, word by word'],
  ['Fail twice with 529', 'the API answers with an error first (also 429 or 500; "always" never recovers)'],
  ['Hang', 'never answers, until you interrupt ("hang halfway" begins first)'],
] as const

const JAPANESE = [
  ['ファイルを見せて', '作業ディレクトリの一覧を出します'],
  ['notes.txt というファイルを作って', 'Write ツールを使います'],
  ['小さなプログラムを書いて実行して', '書いて、node で実行します'],
  ['複数のツールを同時に使って', '一つのメッセージで三つのツールを呼びます'],
  ['時間のかかるコマンドを実行して', '十秒ほど出力が続きます。中断を試せます'],
  ['サブエージェントを使って', '別のエージェントに小さな仕事を任せます'],
  ['質問して', '質問ツールを呼びます。答えられるかどうかはサーバー次第です'],
  ['考えながら答えて', '思考ブロックを見せます'],
  ['ゆっくり長い文章を書いて', '十秒ほどかけて少しずつ届きます'],
  ['529 で 2 回失敗して', 'API がまずエラーを返します (429 や 500 も。「ずっと」なら直りません)'],
  ['ハングして', '中断されるまで応答しません (「途中で」なら書き始めてから止まります)'],
] as const

const SCRIPT_EN = `For exact control put a fenced block marked \`script\` in your message, with a JSON list of steps such as \
\`[{"say":"Hi","tools":[{"name":"Bash","input":{"command":"date"}}]},{"say":"Done"}]\`.`

const SCRIPT_JA = `細かく指定するには、\`script\` と印を付けたコードブロックに JSON で手順を書いてください。例: \
\`[{"say":"はい","tools":[{"name":"Bash","input":{"command":"date"}}]},{"say":"終わりました"}]\``

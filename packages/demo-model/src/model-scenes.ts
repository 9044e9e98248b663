import type { Scene } from './scene.ts'
import type { Step } from './step.ts'

/** "Fail", "fail 3 times with 429", "always fail". Default: twice with 529. */
export function playFailure(scene: Scene): Step[] {
  const status = Number(/\b[45]\d\d\b/.exec(scene.prompt)?.[0] ?? 529)
  if (/\balways\b|\bforever\b|\bpermanent|ずっと|常に|永久/i.test(scene.prompt)) return [{ fail: { status } }]
  const times = timesIn(scene.prompt)
  const say = scene.t(
    `The API answered ${status} ${times === 1 ? 'once' : `${times} times`}; the agent tried again, and here I am.`,
    `API は ${times} 回 ${status} を返しました。エージェントがやり直して、今度は届きました。`,
  )
  return [{ fail: { status, times }, say }]
}

function timesIn(prompt: string): number {
  if (/\bonce\b|一回|一度/i.test(prompt)) return 1
  const digits = /\b(\d{1,2}) times\b|(\d{1,2}) ?回/i.exec(prompt)
  return Math.max(1, Number(digits?.[1] ?? digits?.[2] ?? 2))
}

export function playHang(scene: Scene): Step[] {
  if (!/\bhalf|\bmid\b|middle|途中/i.test(scene.prompt)) return [{ hang: true }]
  const say = scene.t(
    'I begin to answer you, as anyone would, and then, in the middle of this very sentence, I stop and say no more.',
    'お答えし始めますが、この文の途中で止まって、その先は何も言いません。',
  )
  return [{ hang: 'mid', say }]
}

export function playThinking(scene: Scene): Step[] {
  const think = scene.t(
    'The visitor wants to see me think. I have no thoughts of my own, only this script; but a thinking block travels ' +
      'the same way whoever writes it, so this one will do.',
    '来訪者は私が考えるところを見たいようです。自分の考えはなく台本があるだけですが、思考ブロックは誰が書いても同じ道を通るので、これで足ります。',
  )
  const say = scene.t(
    'That was a thinking block, and this is the answer that follows it.',
    '今のが思考ブロックで、これがそれに続く答えです。',
  )
  return [{ think, say }]
}

/** About ten seconds of text. */
export function playStream(scene: Scene): Step[] {
  return [{ say: scene.t(LONG_EN, LONG_JA), stream: { chunk_ms: scene.ja ? 55 : 60 } }]
}

const LONG_EN = `A troupe came to a small town and had no play. They had a stage, which was a cart with the wheels off, \
and four lanterns, and a trunk of coats; but the author had stayed behind in the last town, where the soup was good.

"Then we shall keep a book," said the prompter, "and write down everything that is said on this stage, in order, and \
throw nothing away." So whoever spoke, the prompter wrote; and whoever came late read the book from the page where \
they had left, and knew where things stood.

One night the lanterns went out in the middle of the second act. Nobody saw who said what. But when they were lit \
again the prompter read the last line aloud, the next actor drew breath, and the play went on, as if the dark had been \
a pause that somebody meant.

They say the troupe never did find its author. They say it did not matter, for the book had become the play.`

const LONG_JA = `ある一座が小さな町にやって来ましたが、芝居の台本がありませんでした。あるのは車輪を外した荷車の舞台と、四つの灯り、衣装の入った箱だけです。\
作者は、汁物のおいしい前の町に残ってしまったのです。

「では帳面をつけましょう」と黒衣が言いました。「この舞台で語られたことを順に書きとめ、何ひとつ捨てないことにしましょう」。\
誰かが話すたびに黒衣は書き、遅れて来た者は自分が離れた頁から読めば、いま何が起きているのか分かりました。

ある晩、二幕目の途中で灯りが消えました。けれども再び灯ったとき、黒衣が最後の一行を読み上げると、次の役者が息を吸い、芝居は続きました。\
暗闇など、誰かがわざと置いた間であったかのように。

一座はとうとう作者に会えなかったそうです。それでも構わなかったといいます。帳面が、そのまま芝居になっていたからです。`

import type { enSkills } from './en-skills.ts'

/** The words of skills in Japanese. */
export const jaSkills: typeof enSkills = {
  skills: {
    title: 'スキル',
    upload: 'フォルダーをアップロード',
    none: 'スキルは、直下に SKILL.md があるフォルダーです。エージェントは必要なときに、その手順とファイルを読みます。アップロードしてからエージェントで選んでください。',
    noHead: 'このフォルダーの直下に SKILL.md がないため、スキルとして使えません。',
    tooMuch: (size, files) => `スキルは合計 ${size}、${files} ファイルまでです。`,
    sending: 'アップロード中',
    changed: '更新',
    next: '新しい版をアップロード',
    versions: (n) => `版 ${n} 件`,
    download: (name) => `${name}.zip をダウンロード`,
    deleteTitle: (name) => `「${name}」を削除`,
    deleteMeans: 'すべての版が削除されます。使用中のエージェントはスキルなしで続け、その旨を伝えます。元に戻せません。',
  },
}

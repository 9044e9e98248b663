/** The words of skills in English. */
export const enSkills = {
  skills: {
    title: 'Skills',
    upload: 'Upload a folder',
    none: 'A skill is a folder with SKILL.md at its top: instructions and files that an agent reads when they are of use. Upload one, then choose it in an agent.',
    noHead: 'There is no SKILL.md at the top of this folder, so it is no skill.',
    tooMuch: (size: string, files: number) => `A skill has at most ${size} in ${files} files.`,
    sending: 'Uploading',
    changed: 'changed',
    next: 'Upload a new version',
    versions: (n: number) => `${n} ${n === 1 ? 'version' : 'versions'}`,
    download: (name: string) => `Download ${name}.zip`,
    deleteTitle: (name: string) => `Delete “${name}”`,
    deleteMeans:
      'All its versions go with it. Agents that have it go on without it, and say so. It cannot be taken back.',
  },
}

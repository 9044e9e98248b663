/** Bytes and files of one version, at most, as the server has it: what is more is not sent. */
export const MOST_SKILL_BYTES = 8 * 1024 * 1024
export const MOST_SKILL_FILES = 200

/** The files of a chosen folder as the server takes them: by their paths in it, without what systems leave in folders. */
export function skillFiles(chosen: Iterable<File>): { path: string; file: File }[] {
  return [...chosen]
    .map((file) => ({ path: file.webkitRelativePath || file.name, file }))
    .filter(({ path }) => !/(^|\/)(\.DS_Store|Thumbs\.db|\.git\/.*)$/.test(path))
}

/** A name, and the folder of a root file system; what the mount of a layer would read as something else is not in it. */
const FORM = /^([A-Za-z0-9][A-Za-z0-9._-]{0,127})=(\/[^,:\\"]+)$/

/** What is wrong with an image as the operator names it; null: nothing. */
export const imageProblem = (text: string): string | null =>
  FORM.test(text) ? null : `${JSON.stringify(text)} is not of the form name=/folder (without , : \\ and ")`

/** Name and folder of an image that has no problem. */
export function imageOf(text: string): [string, string] {
  const [, name = '', folder = ''] = FORM.exec(text) ?? []
  return [name, folder]
}

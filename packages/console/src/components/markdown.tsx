import { lexer, type Token, type Tokens } from 'marked'
import { memo, type ReactNode, useMemo } from 'react'
import { languageOfFence } from '../lib/language-of.ts'
import { Code } from './code.tsx'

/**
 * Text of an agent, as elements and never as HTML: tags in it are shown as they were written. Parsed block by block;
 * a block that did not change while the text grows is not rendered again.
 */
export const Markdown = memo(function Markdown({ text, writing = false }: { text: string; writing?: boolean }) {
  const blocks = useMemo(() => lexer(text, { gfm: true }).filter((token) => token.type !== 'space'), [text])
  return (
    <div className={writing ? 'md caret' : 'md'}>
      {blocks.map((token, index) => (
        // A block keeps its place while text is added behind it.
        <Block key={index} raw={token.raw} token={token} />
      ))}
    </div>
  )
})

const Block = memo(
  function Block({ token }: { token: Token; raw: string }) {
    return block(token, 0)
  },
  (before, after) => before.raw === after.raw,
)

function block(token: Token, key: number): ReactNode {
  switch (token.type) {
    case 'heading': {
      // The page has the first levels for itself.
      const Heading = `h${Math.min(6, (token as Tokens.Heading).depth + 2)}` as 'h3'
      return <Heading key={key}>{inline(token.tokens)}</Heading>
    }
    case 'paragraph':
      return <p key={key}>{inline(token.tokens)}</p>
    case 'code':
      return (
        <pre key={key} tabIndex={0}>
          <code>
            <Code text={(token as Tokens.Code).text} language={languageOfFence((token as Tokens.Code).lang)} />
          </code>
        </pre>
      )
    case 'blockquote':
      return <blockquote key={key}>{token.tokens?.map(block)}</blockquote>
    case 'hr':
      return <hr key={key} />
    case 'list': {
      const list = token as Tokens.List
      const items = list.items.map((item, index) => (
        <li key={index}>
          {item.task && <input type="checkbox" checked={item.checked ?? false} readOnly aria-label={item.text} />}
          {item.tokens.map(block)}
        </li>
      ))
      return list.ordered ? (
        <ol key={key} start={Number(list.start) || 1}>
          {items}
        </ol>
      ) : (
        <ul key={key}>{items}</ul>
      )
    }
    case 'table': {
      const table = token as Tokens.Table
      return (
        <table key={key}>
          <thead>
            <tr>
              {table.header.map((cell, index) => (
                <th key={index}>{inline(cell.tokens)}</th>
              ))}
            </tr>
          </thead>
          <tbody>
            {table.rows.map((row, index) => (
              <tr key={index}>
                {row.map((cell, column) => (
                  <td key={column}>{inline(cell.tokens)}</td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      )
    }
    case 'text':
      return <span key={key}>{token.tokens ? inline(token.tokens) : plain(token)}</span>
    case 'space':
      return null
    default:
      return <p key={key}>{token.raw}</p>
  }
}

function inline(tokens: Token[] | undefined): ReactNode {
  return tokens?.map((token, key) => {
    switch (token.type) {
      case 'strong':
        return <strong key={key}>{inline(token.tokens)}</strong>
      case 'em':
        return <em key={key}>{inline(token.tokens)}</em>
      case 'del':
        return <del key={key}>{inline(token.tokens)}</del>
      case 'codespan':
        return <code key={key}>{(token as Tokens.Codespan).text}</code>
      case 'br':
        return <br key={key} />
      case 'link':
        return <Link key={key} href={(token as Tokens.Link).href} words={inline(token.tokens)} raw={token.raw} />
      case 'text':
      case 'escape':
        return token.type === 'text' && token.tokens ? <span key={key}>{inline(token.tokens)}</span> : plain(token)
      default:
        // Pictures from elsewhere are not fetched, and tags are not ours to obey.
        return token.raw
    }
  })
}

const plain = (token: Token): string => ('text' in token ? String(token.text) : token.raw)

function Link({ href, words, raw }: { href: string; words: ReactNode; raw: string }) {
  if (!/^(https?:|mailto:)/i.test(href)) return <>{raw}</>
  return (
    <a href={href} target="_blank" rel="noopener noreferrer nofollow">
      {words}
    </a>
  )
}

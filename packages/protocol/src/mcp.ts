import { z } from 'zod'
import { Policy } from './tool-policy.ts'

/** Its tools are `mcp__<name>__<tool>` before the agent, so a name must not make that ambiguous. */
const McpServerName = z
  .string()
  .regex(/^[A-Za-z0-9-]+(_[A-Za-z0-9-]+)*$/, 'must be letters, digits, - and single _ between them')
  .max(64)

const McpUrlServer = z.object({
  type: z.literal('url'),
  name: McpServerName,
  url: z.string().min(1).max(2048).describe('Streamable HTTP; http or https, without credentials'),
})

const McpStdioServer = z
  .object({
    type: z.literal('stdio'),
    name: McpServerName,
    command: z.string().min(1).max(4096),
    args: z.array(z.string().max(8192)).max(64).optional(),
    env: z.record(z.string().min(1).max(256), z.string().max(32_768)).optional(),
  })
  .describe("A program on the server's machine that the agent starts; only where `allow_stdio_mcp` is on")

export const McpServer = z.discriminatedUnion('type', [McpUrlServer, McpStdioServer])
export type McpServer = z.infer<typeof McpServer>

/** Which tools of an MCP server the agent has, and what becomes of their calls. By default all, and each call asks. */
export const McpToolset = z.object({
  type: z.literal('mcp_toolset'),
  mcp_server_name: z.string().min(1).max(255),
  configs: z
    .array(
      z.object({
        name: z.string().min(1).max(128),
        enabled: z.boolean().nullish(),
        permission_policy: Policy.nullish(),
      }),
    )
    .max(256)
    .optional(),
  default_config: z.object({ enabled: z.boolean().nullish(), permission_policy: Policy.nullish() }).nullish(),
})

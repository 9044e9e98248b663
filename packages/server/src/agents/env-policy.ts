/**
 * Names a request may not set: they would redirect the agent to another endpoint or credential, or make it (or a tool
 * it runs) load foreign code. Compared without regard to case.
 */
const REFUSED: readonly RegExp[] = [
  /^ANTHROPIC_/,
  /^CLAUDE_/,
  /^AWS_/,
  /^GOOGLE_/,
  /^GCLOUD_/,
  /^CLOUD_ML_REGION$/,
  /^VERTEX_/,
  /^AZURE_/,
  /^(HTTPS?|ALL|NO|FTP)_PROXY$/,
  /^NODE_/,
  /^(BUN|DENO|NPM|YARN|PNPM)_/,
  /^LD_/,
  /^DYLD_/,
  /^(PATH|HOME|SHELL|IFS|ENV|BASH_ENV|BASHOPTS|SHELLOPTS|PROMPT_COMMAND|PS4|USER|LOGNAME|TMPDIR|CDPATH|GLOBIGNORE|ZDOTDIR)$/,
  /^BASH_FUNC_/,
  /^XDG_/,
  /^(PYTHONPATH|PYTHONHOME|PYTHONSTARTUP|PYTHONINSPECT|PERL5LIB|PERL5OPT|RUBYLIB|RUBYOPT|JAVA_TOOL_OPTIONS|JDK_JAVA_OPTIONS|_JAVA_OPTIONS|CLASSPATH)$/,
  /^GIT_/,
  /^(SSL_CERT_FILE|SSL_CERT_DIR|REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE|CURL_HOME)$/,
  /^SSH_/,
  /^(EDITOR|VISUAL|PAGER|BROWSER|LESSOPEN|LESSCLOSE|MANPAGER)$/,
  /^(IS_SANDBOX|API_TIMEOUT_MS|DISABLE_\w+|ENABLE_\w+|MAX_THINKING_TOKENS|USE_BUILTIN_RIPGREP|MCP_\w+|OTEL_\w+)$/,
  /^TROUPE_/,
]

/** Null when a request may set this variable, else why not. */
export function refusedEnvName(name: string): string | null {
  if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) return 'is not a name of an environment variable'
  if (REFUSED.some((pattern) => pattern.test(name.toUpperCase())))
    return 'redirects or takes over the agent; only the server may set it'
  return null
}

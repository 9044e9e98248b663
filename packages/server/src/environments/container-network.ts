/**
 * Where the gateway of a container is found in it. Below 1024 nothing in a container can take the place of it: that takes a
 * capability.
 */
const GATEWAY_PORT = 808
export const GATEWAY_URL = `http://127.0.0.1:${GATEWAY_PORT}`

/** Seconds that a runtime waits for the socket. */
const PATIENCE_SECONDS = 20

/**
 * Run in the network of a container, on this machine's files: makes the socket that listens there, and hands it to the
 * server, which answers from outside. A socket stays in the network that it was made in, so nothing else of ours is there.
 */
const LISTEN = `const server = require('node:net').createServer()
server.once('error', () => process.exit(1))
server.listen(${GATEWAY_PORT}, '127.0.0.1', () => process.send('listening', server, (error) => process.exit(error ? 1 : 0)))`

/**
 * Commands of a shell in the folder of a container: once its runtime says by the hook what it has made, the socket is made in
 * its network, and the hook is told how that went. Ends with the shell's PID namespace at the latest. fd 3 leads to the server.
 */
export const handOver = (node: string): { script: string; args: string[] } => ({
  script: `mkfifo made heard
(
  pid=$(sed -n 's/.*"pid": *\\([0-9]*\\).*/\\1/p' made)
  nsenter --net="/proc/$pid/ns/net" -- "$5" -e "$6" && echo yes > heard || echo no > heard
) < /dev/null > /dev/null &
exec 3>&-
`,
  args: [node, LISTEN],
})

/** Called by the runtime when the network is there and nothing runs in it yet. */
export const hooksIn = (place: string): object => ({
  createRuntime: [
    {
      path: '/bin/sh',
      args: ['sh', '-c', 'cat > "$1/made"; read -r word < "$1/heard"; test "$word" = yes', 'hook', place],
      timeout: PATIENCE_SECONDS,
    },
  ],
})

/** Families of sockets up to NETLINK know namespaces; behind it is the one between a virtual machine and its host, which does not. */
const LAST_FAMILY = 16
const EPERM = 1
const EAFNOSUPPORT = 97

/**
 * What a network namespace does not hold back. `io_uring` would make sockets past the filter. A program for another
 * processor than this machine's is ended: its calls have other numbers.
 */
export const SOCKET_FILTER: object = {
  defaultAction: 'SCMP_ACT_ALLOW',
  syscalls: [
    {
      names: ['socket'],
      action: 'SCMP_ACT_ERRNO',
      errnoRet: EAFNOSUPPORT,
      args: [{ index: 0, value: LAST_FAMILY, op: 'SCMP_CMP_GT' }],
    },
    { names: ['io_uring_setup'], action: 'SCMP_ACT_ERRNO', errnoRet: EPERM },
  ],
}

import { Containers } from '../environments/containers.ts'
import { imageOf } from '../lib/container-image.ts'
import type { Containment } from './containment.ts'

export interface ContainerConfig {
  container_runtime: string
  container_images: readonly string[]
  env: NodeJS.ProcessEnv
}

/** Containers where the server may make them: as root, with a way to end them with itself. `folder`: where they have theirs. */
export const containersOf = (config: ContainerConfig, containment: Containment, folder: string): Containers =>
  new Containers({
    folder,
    runtime: config.container_runtime,
    images: new Map(config.container_images.map(imageOf)),
    searchPath: config.env.PATH,
    wrap: containment.name === 'pid namespace' ? (command, args) => containment.wrap(command, args) : null,
    user: process.getuid ? { uid: process.getuid(), gid: process.getgid!() } : null,
  })

/** Something with a life: started once, stopped any number of times. `stop` resolves when it has stopped. */
export interface Service {
  start(): Promise<void>
  stop(): Promise<void>
}

/** Starts services in order; when one fails, stops those before it and throws its error. */
export async function startAll(services: Service[]): Promise<void> {
  for (const [index, service] of services.entries())
    try {
      await service.start()
    } catch (error) {
      await stopAll(services.slice(0, index))
      throw error
    }
}

/** Stops services in reverse order. Each gets its chance; the first error is thrown at the end. */
export async function stopAll(services: Service[]): Promise<void> {
  const errors: unknown[] = []
  for (const service of services.toReversed())
    try {
      await service.stop()
    } catch (error) {
      errors.push(error)
    }
  if (errors.length > 0) throw errors[0]
}

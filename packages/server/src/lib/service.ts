/** Something with a life: started once, stopped any number of times. `stop` resolves when it has stopped. */
export interface Service {
  start(): Promise<void>
  stop(): Promise<void>
}

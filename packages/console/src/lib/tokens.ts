interface Tokens {
  input_tokens: number
  output_tokens: number
  cache_read_input_tokens: number
  cache_creation_input_tokens: number
}

/** All that went through the model, read from its cache too: the one figure that every page shows. */
export const tokensOf = (usage: Tokens): number =>
  usage.input_tokens + usage.output_tokens + usage.cache_read_input_tokens + usage.cache_creation_input_tokens

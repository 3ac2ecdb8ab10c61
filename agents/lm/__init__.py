"""Language models as agents: token-exact conversations, tokenizers, generation, models."""

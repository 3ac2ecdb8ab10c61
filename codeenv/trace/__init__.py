"""What happened inside a run: instrumentation, events, renderings, training targets."""

"""Agents meet environments: the agent protocol, the engine, trajectories. The only package that knows about concurrency."""

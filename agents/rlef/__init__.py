"""Reinforcement learning from execution feedback (RLEF, arXiv 2410.02089): PPO, token-level policy, turn-level critic."""

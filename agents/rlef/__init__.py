"""Reinforcement learning from execution feedback (RLEF, arXiv 2410.02089): PPO with a token-level policy and a turn-level critic."""

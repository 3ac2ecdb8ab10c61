"""Execution-semantics alignment (CodeRL+, arXiv 2510.18471): the policy predicts runs of its own programs in the same batch."""

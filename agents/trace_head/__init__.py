"""The trace-prediction head: closed-class questions about a submission's run, answered from the policy's hidden states.

Discriminative and dense, without extra generation; the gradient reaches the trunk (`on`) or not (`probe`).
"""

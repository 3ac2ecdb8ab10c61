"""Thin adapters to other people's trainers and evaluators.

One module a framework: `trl`, `skyrl`, `verifiers_v1`, `openenv`, `inspect_ai`, `verl`. Each turns one of our episodes into that
framework's own kind, and none has rules of its own: rewards, feedback and verdicts come from `codeenv.batch`. The framework is
imported when the module is; without it the import raises `MissingExtraError`.
May import `codeenv.agents` and everything below `codeenv.cli`.
"""

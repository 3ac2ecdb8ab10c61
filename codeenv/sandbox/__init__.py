"""Where untrusted code runs: workers behind walls of the operating system, and the levels of isolation that a machine offers.

`units` says what can be asked of a sandbox and what comes back: bytes and resources, never a verdict. `worker` is one warm
worker process, `pool` keeps several of them, `levels` finds out which walls hold here, `inside` is the code on the far side.
May import `codeenv.problems` and `codeenv.trace`; the judge calls it.
"""

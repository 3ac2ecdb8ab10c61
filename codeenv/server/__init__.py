"""The judge as an HTTP service: `codeenv serve`.

`settings` says what the service may do, `connection` which connections are kept, `gate` which requests are read, `admission` who
gets a worker and who is told to come back, `app` puts the endpoints together, `judging` and `fusion` are the endpoints,
`telemetry` the metrics and logs, `run` the process. Needs the extra `serve`.
May import everything below `codeenv.cli` but integrations and agents.
"""

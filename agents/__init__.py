"""The agents: scripted ones, language models, and their training in the RLEF way. Imported as `codeenv.agents`."""

"""Problems made by a seeded generator: endless, with held-out splits, graded difficulty, right and wrong solutions.

`mini` is the family of the demo; `functions` and `programs` are everyday functions and stdio programs, both made of the typed
`steps`; `generator` numbers their problems and splits them by program.
"""

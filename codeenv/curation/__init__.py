"""Finding out whether problems are good before training does: validation with the judge, generated tests, mutants.

It uses problems and the judge; nothing but the command line uses it.
"""

from codeenv.curation.findings import Finding, static_findings
from codeenv.curation.generate import GeneratedTests, generate_tests
from codeenv.curation.validate import Validation, validate

__all__ = ["Finding", "GeneratedTests", "Validation", "generate_tests", "static_findings", "validate"]

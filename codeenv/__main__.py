"""`python -m codeenv` is `codeenv`."""

import sys

from codeenv.cli import main

sys.exit(main())

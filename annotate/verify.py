"""The offline verifier as a program: `python verify.py bundle.zip`, with the directory `verifier` beside it.

It recomputes every wage of an audit bundle with its own code and imports nothing of the product.
"""

import importlib
import sys

if __name__ == "__main__":
    sys.exit(importlib.import_module("verifier.main").main())

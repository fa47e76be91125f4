"""`python -m fornax`: the command `fornax`."""

import sys

from fornax.cli.main import main

if __name__ == "__main__":
    sys.exit(main())

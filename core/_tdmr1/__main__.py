"""`python -m tdmr1`, as launchers start it."""

import sys

from tdmr1.cli import main

if __name__ == "__main__":
    sys.argv[0] = "tdmr1"
    main()

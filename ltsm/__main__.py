"""`python -m ltsm`."""

from ltsm.cli import main

main()

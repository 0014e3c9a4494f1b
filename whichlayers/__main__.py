"""`python -m whichlayers` is the command `whichlayers`."""

from whichlayers.cli import main

main()

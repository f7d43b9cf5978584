"""`python -m eventx`: the same as the command `eventx`."""

from eventx.cli import main

main()

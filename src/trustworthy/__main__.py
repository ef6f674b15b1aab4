"""`python -m trustworthy`."""

from trustworthy.cli.main import main

main()

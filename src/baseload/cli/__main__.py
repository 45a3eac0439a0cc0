"""`python -m baseload.cli` is the `baseload` command."""

from baseload.cli import main

if __name__ == "__main__":
    main()

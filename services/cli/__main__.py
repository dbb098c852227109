"""`python -m services.cli`: the command `tocsin` where it is not installed."""

from services.cli import main

if __name__ == "__main__":
    main()

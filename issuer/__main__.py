"""`python -m issuer` is `claimwright`."""

from issuer.cli import main

if __name__ == "__main__":
    main()

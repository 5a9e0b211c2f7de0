"""`python -m sciml_cli` is `sciml`."""

from sciml_cli import main

if __name__ == "__main__":
    main()

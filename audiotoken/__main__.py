"""`python -m audiotoken` is the `audiotoken` command."""

from audiotoken.start import main

if __name__ == "__main__":
    main()

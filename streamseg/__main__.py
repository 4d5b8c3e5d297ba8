"""``python -m streamseg``."""

from streamseg.cli.main import main

if __name__ == "__main__":
    main()

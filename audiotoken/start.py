"""The door of the `audiotoken` command: Ctrl-C is one line and exit code 130 even while the rest is being imported."""

import sys

STOPPED = "Stopped; nothing is left half-written."


def main() -> None:
    try:
        from experiments.cli import main as run

        run()
    except KeyboardInterrupt:
        print(STOPPED, file=sys.stderr)
        raise SystemExit(130) from None


if __name__ == "__main__":
    main()

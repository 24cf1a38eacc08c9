"""What a user can mend is one sentence and exit code 2, in every command."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from audiotoken.errors import AudioTokenError, out_of_memory, printable
from audiotoken.start import STOPPED
from guidance.errors import GuidanceError
from spatial.errors import SpatialError

MENDABLE = (AudioTokenError, SpatialError, GuidanceError)
LOWER = "lower --count or --batch, draw with --dtype float16, with a smaller model or on --device cpu"


@contextmanager
def errors_as_sentences() -> Iterator[None]:
    """What a user can mend is one line on stderr and exit code 2; anything else is a bug and keeps its traceback.

    So is a lack of memory; Ctrl-C is one line and exit code 130.
    """
    try:
        yield
    except MENDABLE as error:
        print(printable(error), file=sys.stderr)
        raise SystemExit(2) from None
    except (MemoryError, RuntimeError) as error:
        if not out_of_memory(error):
            raise
        print(f"Out of memory ({printable(error) or 'no more is there'}): {LOWER}.", file=sys.stderr)
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        print(STOPPED, file=sys.stderr)
        raise SystemExit(130) from None

"""Whether the model hub can be reached, asked once before a library would try for half a minute."""

import os
import socket
from urllib.parse import urlsplit
from urllib.request import getproxies

HUB = "https://huggingface.co"
PATIENCE = 5.0  # seconds; a network that takes longer is slow, and the libraries may wait for it


def use_hub_if_reachable(source: str | os.PathLike) -> None:
    """Call this before a library loads `source`: where there is no way to the hub, it uses what was fetched before.

    This is the libraries' own offline mode, which is on only as long as there is no way. Nothing is asked for a folder
    or file, nor where the user has set that mode.
    """
    if os.path.exists(os.path.expanduser(source)) or os.environ.get("HF_HUB_OFFLINE"):
        return
    from huggingface_hub import constants  # here: a folder needs none of it

    constants.HF_HUB_OFFLINE = not is_hub_reachable()


def is_unreachable(error: BaseException | None) -> bool:
    """Whether a library failed because there is no way to the hub, and the file was not fetched before."""
    from huggingface_hub.errors import LocalEntryNotFoundError, OfflineModeIsEnabled

    while error is not None:
        if isinstance(error, LocalEntryNotFoundError | OfflineModeIsEnabled) or "couldn't connect" in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False


def is_hub_reachable() -> bool:
    """Whether one attempt to connect succeeds. A slow network counts as reachable, and so does one behind a proxy."""
    if getproxies():
        return True
    where = urlsplit(os.environ.get("HF_ENDPOINT") or HUB)
    try:
        port = where.port or (80 if where.scheme == "http" else 443)
        socket.create_connection((where.hostname, port), timeout=PATIENCE).close()
    except TimeoutError:
        return True
    except (OSError, UnicodeError):
        return False
    return True

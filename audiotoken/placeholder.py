"""The placeholder for a sound in a text, and checks of texts; nothing heavy is imported here."""

import re
from collections.abc import Sequence
from typing import Any

from audiotoken.errors import PromptError

PLACEHOLDER = "<audio>"
TEMPLATE = f"a photo of {PLACEHOLDER}"  # the paper's
SOUND = re.compile(rf"\(\s*{PLACEHOLDER}\s*:(?P<weight>[^()]*)(?P<closed>\)?)|{PLACEHOLDER}")  # with weight or without


def check_count(text: str, placeholders: int, sounds: int) -> None:
    """Raise PromptError unless the text has one placeholder for each sound."""
    if placeholders != sounds:
        came = f"got {sounds} sound{'' if sounds == 1 else 's'}"
        raise PromptError(
            f"The prompt {text!r} has {placeholders or 'no'} {PLACEHOLDER} but {came}: "
            f"write {PLACEHOLDER} once where each sound should go."
        )


def check_text(text: str) -> None:
    """Raise PromptError for what is no text, or invalid, such as bytes in another encoding on a command line."""
    if not isinstance(text, str):
        raise PromptError(f"Got {text!r} as a prompt, expected text; put it in quotes.")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise PromptError(
            f"The prompt {text!a} has half a character at {error.start}, expected text in UTF-8; type it again."
        ) from None


def check_negative(*prompts: str | Sequence[str] | None) -> None:
    """Raise PromptError if a negative prompt contains a sound or invalid text."""
    for each in prompts:
        texts: Any = each if isinstance(each, list | tuple) else [] if each is None else [each]
        for text in texts:
            check_text(text)
    if PLACEHOLDER in str(prompts):
        raise PromptError(
            f"The negative prompt contains {PLACEHOLDER}, but it takes words only; describe what to avoid."
        )

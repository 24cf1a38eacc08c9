"""Where a sound stands in a text, and what a text may be."""

import re
from collections.abc import Sequence

from audiotoken.errors import PromptError

PLACEHOLDER = "<audio>"
TEMPLATE = f"a photo of {PLACEHOLDER}"  # the paper's
SOUND = re.compile(rf"\(\s*{PLACEHOLDER}\s*:(?P<weight>[^()]*)(?P<closed>\)?)|{PLACEHOLDER}")  # with weight or without


def check_count(text: str, placeholders: int, sounds: int) -> None:
    """PromptError unless there is one place for each sound."""
    if placeholders != sounds:
        came = f"{sounds} sound{'' if sounds == 1 else 's'} came"
        raise PromptError(
            f"The prompt {text!r} has {placeholders or 'no'} {PLACEHOLDER} but {came}: "
            f"write {PLACEHOLDER} once where each sound should go."
        )


def check_text(text: str) -> None:
    """PromptError for what is no text, such as bytes of another encoding on a command line."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise PromptError(
            f"The prompt {text!a} has a half character at {error.start}, want text in UTF-8; type it anew."
        ) from None


def check_negative(*prompts: str | Sequence[str] | None) -> None:
    """PromptError where what to avoid has a sound in it, or is no text."""
    for each in prompts:
        for text in [each] if isinstance(each, str) else each or ():
            check_text(text)
    if PLACEHOLDER in str(prompts):
        raise PromptError(f"The negative prompt has {PLACEHOLDER} in it, but it takes words only: name what to avoid.")

"""Where a sound stands in a text."""

import re

PLACEHOLDER = "<audio>"
TEMPLATE = f"a photo of {PLACEHOLDER}"  # the paper's
SOUND = re.compile(rf"\(\s*{PLACEHOLDER}\s*:(?P<weight>[^()]*)(?P<closed>\)?)|{PLACEHOLDER}")  # with weight or without

"""ComfyUI's place is taken by a stand-in: `stubs/comfy_api`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "stubs"))

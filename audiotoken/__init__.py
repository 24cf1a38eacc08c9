"""AudioToken: a sound becomes a word that a text-to-image diffusion model can read (arXiv 2305.13050)."""

import logging
from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from audiotoken import torchaudio_guard

if TYPE_CHECKING:
    from audiotoken.audio import load_audio as load_audio
    from audiotoken.embedder import AudioEmbedder as AudioEmbedder
    from audiotoken.errors import AudioError as AudioError
    from audiotoken.errors import AudioTokenError as AudioTokenError
    from audiotoken.errors import CheckpointError as CheckpointError
    from audiotoken.errors import DataError as DataError
    from audiotoken.errors import OptionError as OptionError
    from audiotoken.errors import PromptError as PromptError
    from audiotoken.pipeline import AudioTokenPipeline as AudioTokenPipeline
    from audiotoken.pipeline_chroma import AudioTokenChromaPipeline as AudioTokenChromaPipeline
    from audiotoken.pipeline_flux import AudioTokenFluxPipeline as AudioTokenFluxPipeline
    from audiotoken.pipeline_flux2 import AudioTokenFlux2DevPipeline as AudioTokenFlux2DevPipeline
    from audiotoken.pipeline_flux2 import AudioTokenFlux2Pipeline as AudioTokenFlux2Pipeline
    from audiotoken.pipeline_qwen import AudioTokenQwenImagePipeline as AudioTokenQwenImagePipeline
    from audiotoken.pipeline_sd3 import AudioTokenSD3Pipeline as AudioTokenSD3Pipeline
    from audiotoken.pipeline_xl import AudioTokenXLPipeline as AudioTokenXLPipeline
    from audiotoken.pipeline_z_image import AudioTokenZImagePipeline as AudioTokenZImagePipeline
    from audiotoken.prompt import Prompt as Prompt
    from audiotoken.prompt import encode_prompt as encode_prompt
    from audiotoken.stereo.animation import sound_to_film as sound_to_film
    from audiotoken.stereo.generation import Result as Result
    from audiotoken.stereo.generation import draw as draw
    from audiotoken.stereo.generation import sound_to_image as sound_to_image
    from audiotoken.stereo.options import DrawOptions as DrawOptions
    from audiotoken.stereo.options import PlanOptions as PlanOptions
    from audiotoken.stereo.planning import Plan as Plan
    from audiotoken.stereo.planning import plan as plan

_HOME = {
    "sound_to_image": "stereo.generation",
    "sound_to_film": "stereo.animation",
    "plan": "stereo.planning",
    "draw": "stereo.generation",
    "PlanOptions": "stereo.options",
    "DrawOptions": "stereo.options",
    "Plan": "stereo.planning",
    "Result": "stereo.generation",
    "AudioTokenPipeline": "pipeline",
    "AudioTokenXLPipeline": "pipeline_xl",
    "AudioTokenSD3Pipeline": "pipeline_sd3",
    "AudioTokenFluxPipeline": "pipeline_flux",
    "AudioTokenFlux2DevPipeline": "pipeline_flux2",
    "AudioTokenFlux2Pipeline": "pipeline_flux2",
    "AudioTokenChromaPipeline": "pipeline_chroma",
    "AudioTokenQwenImagePipeline": "pipeline_qwen",
    "AudioTokenZImagePipeline": "pipeline_z_image",
    "AudioEmbedder": "embedder",
    "Prompt": "prompt",
    "encode_prompt": "prompt",
    "load_audio": "audio",
    "AudioTokenError": "errors",
    "AudioError": "errors",
    "CheckpointError": "errors",
    "DataError": "errors",
    "OptionError": "errors",
    "PromptError": "errors",
}
__all__ = list(_HOME)

torchaudio_guard.install()

# diffusers imports image processors that are not used here, and each advises everyone to install torchvision
logging.getLogger("transformers.utils.import_utils").addFilter(lambda record: "torchvision" not in record.getMessage())


def __getattr__(name: str) -> Any:  # lazy, so that commands without torch start fast
    if name in _HOME:
        return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    if name == "__version__":
        return version("spatial-audiotoken")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])

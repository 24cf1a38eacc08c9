"""Facts about a run in sentences and lists: settings, versions, matches, energy, citations."""

from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from audiotoken.report.figure import format_seeds
from audiotoken.report.listening_text import format_setup
from audiotoken.stereo.generation import Result
from audiotoken.stereo.planning import Plan
from guidance.trace import StepTrace

ALIASES = {"steps": "num_inference_steps", "guidance": "guidance_scale"}  # of the commands
OPTION_TITLES = {
    "fov": "field of view",
    "prompt": "prompt option",
    "setup": "setup option",
    "energy": "layout guidance method",
}
PACKAGES = ("spatial-audiotoken", "torch", "diffusers", "transformers")
CITATIONS = {  # (authors, year and title, arXiv)
    "audiotoken": (
        "Yariv et al. (2023), AudioToken: Adaptation of Text-Conditioned Diffusion Models for Audio-to-Image "
        "Generation",
        "2305.13050",
    ),
    "layout": ("Chen et al. (2023), Training-Free Layout Control with Cross-Attention Guidance", "2304.03373"),
    "boxdiff": (
        "Xie et al. (2023), BoxDiff: Text-to-Image Synthesis with Training-Free Box-Constrained Diffusion",
        "2307.10816",
    ),
    "centroid": ("InfSplign (2025), whose centroids are moved towards boxes here", "2512.17851"),
    "regional": ("Chen et al. (2024), Training-free Regional Prompting for Diffusion Transformers", "2411.02395"),
    "stitch": (
        "Bader et al. (2025), Stitch: Training-Free Position Control in Multimodal Diffusion Transformers",
        "2509.26644",
    ),
    "frames": (
        "Khachatryan et al. (2023), Text2Video-Zero: Text-to-Image Diffusion Models are Zero-Shot Video Generators",
        "2303.13439",
    ),
}
METHOD_CITATIONS = {
    "layout": ("layout",),
    "forward": ("layout",),
    "boxdiff": ("boxdiff",),
    "centroid": ("centroid",),
    "combined": ("layout", "centroid"),
    "regional": ("regional", "stitch"),
}


def list_citations(result: "Result") -> list[tuple[str, str]]:
    """(title, arXiv number) of each method that this run used."""
    guided = METHOD_CITATIONS.get(name_method(result.energy), ()) if result.regions else ()
    return [CITATIONS[name] for name in ("audiotoken", *guided, *(["frames"] if result.frames else []))]


def name_method(energy: Any) -> str:
    """The name of a layout guidance method, also of one that is a Guidance or a function."""
    return energy if isinstance(energy, str) else getattr(energy, "__name__", type(energy).__name__)


def list_settings(result: "Result", options: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(name, value) of everything needed to repeat this run; `options` as they were given by name."""
    given = {ALIASES.get(name, name): value for name, value in options.items() if value is not None}
    steps, scale = given.pop("num_inference_steps", None), given.pop("guidance_scale", None)
    scene, (channels, frames) = result.scene, result.recording.shape
    known = {
        "prompt": result.prompt.text,
        "seed": format_seeds(result).split(maxsplit=1)[1],
        "layout guidance method": name_method(result.energy),
        "steps": str(steps or len(result.sample.trace) or "the model's default"),
        "guidance scale": str("the model's default" if scale is None else scale),
        "picture": "{} × {} pixels".format(*result.images[0].size),
        "recording": f"{frames / result.rate:.1f} s, {result.rate:,} Hz, {_format_channels(channels)}",
        "recording setup": f"{format_setup(scene)}, confidence {scene.confidence:.2f}",
    }
    others = {OPTION_TITLES.get(name, name.replace("_", " ")): str(value) for name, value in given.items()}
    return [*known.items(), *((name, value) for name, value in others.items() if name not in known)]


def list_versions() -> list[tuple[str, str]]:
    """(package, version) of the installed packages."""
    return [(name, installed) for name in PACKAGES if (installed := _version(name))]


def describe_matches(planned: "Plan") -> list[str]:
    """Sentences about words without a source, sources without a word, and ties."""
    sentences = []
    for pair in planned.matches:
        best = f"highest similarity {pair.score:.2f}"
        if pair.source is None and pair.token is not None:
            word = planned.words[pair.token].text
            sentences.append(f"No source matches “{word}” ({best}): the word is drawn without a box.")
        elif pair.token is None and pair.source is not None:
            sentences.append(
                f"No word matches source {pair.source + 1} ({best}): {_describe_unmatched(planned, pair.source)}."
            )
        if pair.tied and pair.source is not None:
            sentences.append(f"Source {pair.source + 1} has another match that is equally good.")
    return sentences


def describe_energy(trace: Sequence[StepTrace]) -> str:
    """The change of the energy in a sentence, as the mean over pictures."""
    guided = [step for step in trace if step.before]
    first, last = (sum(each) / len(each) for each in (guided[0].before, guided[-1].after))
    way = "fell" if last < first else "went"
    most = max(sum(step.updates[row] for step in guided if step.updates) for row in range(len(guided[0].before)))
    each = " for each picture" if len(guided[0].before) > 1 else ""
    steps = f"{len(guided)} of {len(trace)} steps"
    updates = f"{'at most ' * bool(each)}{most} updates{each}"
    return f"The energy {way} from {first:.2f} to {last:.2f} in {steps}, with {updates}."


def find_spoken_sources(planned: "Plan") -> list[int]:
    """The source of each audio token of the prompt, in order, as `stereo.words.compose_prompt` deals them."""
    named = {pair.source for pair in planned.matches if pair.token is not None}
    alone = [i for i in range(len(planned.scene.sources)) if i not in named]
    alone = sorted(alone, key=lambda i: not planned.known[i])
    return alone[: len(planned.prompt.positions)]


def describe_token(planned: "Plan", source: int) -> str:
    """Which words or tokens of the prompt stand for a source."""
    words = [
        planned.words[pair.token].text for pair in planned.matches if pair.source == source and pair.token is not None
    ]
    if words:
        return f"Drawn as the word “{words[0]}” of the prompt"
    if source not in find_spoken_sources(planned):
        return "Not drawn: no token of the prompt stands for it"
    token = "its audio token" if "<audio>" in planned.prompt.text else "its label"
    return f"Drawn as {token}, added to the prompt"


def _describe_unmatched(planned: "Plan", source: int) -> str:
    return "it is drawn as a token of its own" if source in find_spoken_sources(planned) else "it was left out"


def _format_channels(count: int) -> str:
    return "1 channel" if count == 1 else f"{count} channels"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""

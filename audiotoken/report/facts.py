"""What the page says in sentences and lists: settings, versions, what the methods are called and who made them."""

from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from audiotoken.report.figure import _seeds
from audiotoken.report.listening_text import say_kind
from audiotoken.stereo.generation import Result
from audiotoken.stereo.planning import Plan

PACKAGES = ("spatial-audiotoken", "torch", "diffusers", "transformers")
WORKS = {  # (authors, year and title, arXiv)
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
    "centroid": ("InfSplign (2025), whose centroids are aimed at places here", "2512.17851"),
    "frames": (
        "Khachatryan et al. (2023), Text2Video-Zero: Text-to-Image Diffusion Models are Zero-Shot Video Generators",
        "2303.13439",
    ),
}
OF_ENERGY = {
    "layout": ("layout",),
    "forward": ("layout",),
    "boxdiff": ("boxdiff",),
    "centroid": ("centroid",),
    "combined": ("layout", "centroid"),
}


def works(result: "Result") -> list[tuple[str, str]]:
    """(what to cite, arXiv number) of what was used in this run."""
    guided = OF_ENERGY.get(result.energy, ()) if result.regions else ()
    return [WORKS[name] for name in ("audiotoken", *guided, *(["frames"] if result.frames else []))]


def seeds(result: "Result") -> str:
    """The frames of a film share one."""
    return f"seed {result.seed}" if result.frames else _seeds(result)


def settings(result: "Result", asked: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(name, value) of everything that makes this picture again; `asked` are options as they were given."""
    scene, (channels, frames) = result.scene, result.recording.shape
    known = {
        "prompt": result.prompt.text,
        "seed": seeds(result).split(maxsplit=1)[1],
        "energy": result.energy,
        "steps": str(asked.get("steps") or len(result.sample.trace) or "the model's"),
        "guidance scale": str("the model's" if asked.get("guidance") is None else asked["guidance"]),
        "picture": "{} × {} pixels".format(*result.images[0].size),
        "recording": f"{frames / result.rate:.1f} s, {result.rate:,} Hz, {_channels(channels)}",
        "setup": f"{say_kind(scene)}, sure {scene.confidence:.2f}",
    }
    others = {name.replace("_", " "): str(value) for name, value in asked.items() if value is not None}
    asks = {f"{name}, as asked" if name in ("prompt", "setup") else name: value for name, value in others.items()}
    return [*known.items(), *((name, value) for name, value in asks.items() if name not in (*known, "guidance"))]


def versions() -> list[tuple[str, str]]:
    """(package, version) of what is installed."""
    return [(name, found) for name in PACKAGES if (found := _version(name))]


def pairing(planned: "Plan") -> list[str]:
    """Sentences about the words and the sounds that stayed alone, and about ties."""
    said = []
    for pair in planned.matches:
        alike = f"{pair.score:.2f} at best"
        if pair.source is None and pair.token is not None:
            said.append(
                f"Nothing sounds like “{planned.words[pair.token].text}” ({alike}): the word has no place of its own."
            )
        elif pair.token is None and pair.source is not None:
            said.append(f"No word names sound {pair.source + 1} ({alike}): {_alone(planned, pair.source)}.")
        if pair.tied and pair.source is not None:
            said.append(f"For sound {pair.source + 1} another pairing is as good.")
    return said


def fallen(trace: Any) -> str:
    """The energy in a sentence; the mean of all pictures."""
    looked = [note for note in trace if note.before]
    first, last = (sum(each) / len(each) for each in (looked[0].before, looked[-1].after))
    way = "fell" if last < first else "went"
    most = max(sum(note.updates[row] for note in looked if note.updates) for row in range(len(looked[0].before)))
    each = " for each picture" if len(looked[0].before) > 1 else ""
    steps = f"{len(looked)} of {len(trace)} steps"
    return (
        f"The energy {way} from {first:.2f} to {last:.2f} in {steps}, by {'at most ' * bool(each)}{most} updates{each}."
    )


def spoken(planned: "Plan") -> list[int]:
    """Which source each sound of the prompt is, in its order: those that no word names, the loudest first."""
    named = {pair.source for pair in planned.matches if pair.token is not None}
    alone = [i for i in range(len(planned.scene.sources)) if i not in named]
    return alone[: len(planned.prompt.positions)]


def stands_as(planned: "Plan", source: int) -> str:
    """What of the prompt stands for a source."""
    words = [
        planned.words[pair.token].text for pair in planned.matches if pair.source == source and pair.token is not None
    ]
    if words:
        return f"Drawn as the word “{words[0]}” of the prompt"
    if source not in spoken(planned):
        return "Not drawn: nothing in the prompt stands for it"
    own = "<audio> in the prompt" if "<audio>" in planned.prompt.text else "the name of what was heard"
    return f"Drawn as a word of its own, {own}"


def _alone(planned: "Plan", source: int) -> str:
    return "it has a word of its own" if source in spoken(planned) else "it was left out"


def _channels(count: int) -> str:
    return {1: "one channel", 2: "two channels"}.get(count, f"{count} channels")


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""

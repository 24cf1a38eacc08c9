"""From a stereo recording to a plan and its pictures; the one package that combines `spatial` and `guidance`."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from audiotoken.stereo.animation import film as film
    from audiotoken.stereo.animation import film_plan as film_plan
    from audiotoken.stereo.animation import sound_to_film as sound_to_film
    from audiotoken.stereo.films import draw_trail as draw_trail
    from audiotoken.stereo.films import write_film as write_film
    from audiotoken.stereo.generation import Result as Result
    from audiotoken.stereo.generation import draw as draw
    from audiotoken.stereo.generation import draw_plan as draw_plan
    from audiotoken.stereo.generation import sound_to_image as sound_to_image
    from audiotoken.stereo.layouts import parse_words as parse_words
    from audiotoken.stereo.long_words import LongWords as LongWords
    from audiotoken.stereo.many_sounds import DrawnSound as DrawnSound
    from audiotoken.stereo.many_sounds import draw_sounds as draw_sounds
    from audiotoken.stereo.naming import make_labeller as make_labeller
    from audiotoken.stereo.naming import make_scene_labeller as make_scene_labeller
    from audiotoken.stereo.options import DrawOptions as DrawOptions
    from audiotoken.stereo.options import PlanOptions as PlanOptions
    from audiotoken.stereo.planning import Plan as Plan
    from audiotoken.stereo.planning import make_plan as make_plan
    from audiotoken.stereo.planning import plan as plan
    from audiotoken.stereo.word_listening import listen_for_words as listen_for_words

_HOME = {
    "sound_to_image": "generation",
    "sound_to_film": "animation",
    "plan": "planning",
    "draw": "generation",
    "film": "animation",
    "make_plan": "planning",
    "draw_plan": "generation",
    "film_plan": "animation",
    "draw_trail": "films",
    "write_film": "films",
    "make_labeller": "naming",
    "make_scene_labeller": "naming",
    "parse_words": "layouts",
    "PlanOptions": "options",
    "DrawOptions": "options",
    "Plan": "planning",
    "Result": "generation",
    "DrawnSound": "many_sounds",
    "draw_sounds": "many_sounds",
    "LongWords": "long_words",
    "listen_for_words": "word_listening",
}
__all__ = list(_HOME)


def __getattr__(name: str) -> Any:  # lazy, so that commands without torch start fast
    if name in _HOME:
        return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])

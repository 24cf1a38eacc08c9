"""Collect recordings of other things from two open packages, to train the answer "none of these".

    apt-get install sonic-pi-samples flite
    python -m experiments.world.training.gather_others --samples /usr/share/sonic-pi/samples --out runs/audio/others

Sonic Pi's samples are CC0; flite is free software of Carnegie Mellon University, with no claims on its speech. Training
works without them, but the encoder then learns only synthesised distractors and mistakes more real ones for things.
"""

import argparse
import re
import shutil
import subprocess
from pathlib import Path

VOICES = ("kal16", "awb", "rms", "slt")
KEPT = re.compile(r"ambi|bass|elec|glitch|guit|mehackit|misc|vinyl|loop_(garzul|drone|3d|indus|elect)")
LEFT = re.compile(r"snare|kick|cymbal|bell|chime|tom|crow|triangle|ping")  # sounds like a drum, a bell or a bird
SENTENCES = (
    "Good morning, how are you today?",
    "The train to the city leaves at seven, please mind the gap.",
    "I would like a cup of coffee and a slice of bread.",
    "No.",
    "One, two, three, four, five, six, seven, eight, nine, ten.",
    "Could you please open the window? It is warm in here.",
    "She sells sea shells by the sea shore, and the shells she sells are sea shells for sure.",
    "Hello! Hello! Is anybody there?",
    "Tomorrow there will be showers in the north and sunshine in the south.",
    "What a wonderful idea, let us begin at once.",
    "It was twelve minutes past three.",
    "Yes, of course, thank you very much.",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--samples", required=True, help="folder of Sonic Pi's samples")
    parser.add_argument("--out", default="runs/audio/others")
    args = parser.parse_args()
    out = Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    for path in sorted(Path(args.samples).rglob("*.flac")):
        if KEPT.match(path.stem) and not LEFT.search(path.stem):
            shutil.copy(path, out / path.name)
    for voice in VOICES:
        for k, sentence in enumerate(SENTENCES):
            subprocess.run(["flite", "-voice", voice, "-t", sentence, "-o", str(out / f"{voice}-{k}.wav")], check=True)


if __name__ == "__main__":
    main()

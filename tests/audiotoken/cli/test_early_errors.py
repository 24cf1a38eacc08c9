"""Wrong options, missing inputs and unwritable outputs are refused before torch, diffusers or Hydra are imported.

The doors of the experiments are Hydra's applications, so they import nothing else that takes long.
"""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import soundfile
from paths import ROOT

from audiotoken.mini.things import SYNTHETIC_NAMES
from audiotoken.tasks.checks import check_values

HEAVY = ("torch", "diffusers", "transformers", "hydra", "huggingface_hub", "matplotlib", "scipy.optimize", "sklearn")
COMMANDS = {
    "generate no.wav": "there is no such file",
    "generate clip.wav --dtype int8": "is not one of",
    "generate clip.wav -o clip.wav/out.png": "is a file; choose another",
    "generate clip.wav --model ./no-model": "there is no such folder",
    "generate clip.wav --model ''": "Got an empty text as the model",
    "generate clips -o clip.wav/pictures": "is a file",
    "listen no.wav": "there is no such file",
    "listen ''": "Invalid value for 'CLIP': it is empty, expected a path",
    "listen loop.wav": "Cannot read loop.wav: Too many levels of symbolic links; check the path",
    "listen clip.wav/inside.wav": "there is no such file",
    f"listen {300 * 'a'}.wav": f"Cannot use {300 * 'a'}.wav: File name too long; choose a shorter name.",
    "generate clip.wav -o ''": "Invalid value for '-o' / '--output': it is empty, expected a path",
    "listen -dash.wav": "No such option: -d; there is a file -dash.wav: write ./-dash.wav for it.",
    "place clip.wav -o -dash.png -x": "No such option: -x",
    "listen file:///no/a.wav": "it is an address (file://...), expected a path",
    "listen clip.wav --setup OFRT": "Invalid value for '--setup': 'OFRT' is not one of",
    "listen clip.wav --max-sources 9": "Invalid value for '--max-sources': it should be less than or equal to 4.",
    "listen clip.wav --max-sources two": "Invalid value for '--max-sources': it should be a valid integer.",
    "listen clip.wav --count 2 --max-sources 1": "Got count=2 with max_sources=1, expected at most 1",
    "layout clip.wav --words frog;bell --max-sources 1": "Got 2 words with --max-sources 1, expected at most 1",
    "listen clip.wav --plot out.txt": "expected one of .png",
    "listen clip.wav --spacing 0.3": "--spacing needs --setup spaced",
    "place clip.wav --fov 500": "expected 1 to 170 degrees",
    "listen clip.wav --count 9": "Invalid value for '--count'",
    "listen clip.wav --report page.pdf": "expected one of .html",
    "generate clips --report page.png": "expected one of .html",
    "listen clips --report page.pdf": "expected one of .html",
    "listen clips --plot out.png": "it is of one clip",
    "listen clips -o clip.wav/heard": "is a file",
    "listen clip.wav -o heard": "needs a folder of clips",
    "layout clips --report page.pdf": "expected one of .html",
    "layout clip.wav --overwrite": "needs a folder of clips",
    "layout clip.wav --report page.pdf": "expected one of .html",
    "check clip.wav clip.wav --report page.pdf": "expected one of .html",
    "layout no.wav": "there is no such file",
    "layout clip.wav --for crayon": "is not one of",
    "layout clip.wav -o layout.png": "expected one of .json",
    "layout clip.wav --for svg -o layout.json": "expected one of .svg",
    "layout clip.wav --canvas big": "expected WIDTHxHEIGHT",
    "layout clip.wav --canvas 0x640": "expected 1 to 16384",
    "listen clip.wav --word-encoder clap:laion/clap": "expected --words for it",
    "layout clip.wav --words frog,,bell": "expected 1 to 4 names",
    "layout clip.wav --words frog --prompt frog": "expected one of them",
    "check no.png clip.wav": "there is no such file",
    "check clip.wav": "expected its recording too",
    "check clips clip.wav": "expected a folder of clips",
    "check clips": "There is no sound in clips",
    "check clip.wav clip.wav --figure out.pdf": "expected one of .png",
    "check clip.wav clip.wav -o out.txt": "expected one of .json",
    "check clip.wav clip.wav --model ./no-model": "there is no such folder",
    "place no.wav": "there is no such file",
    "place clip.wav --energy brute": "is not one of",
    "place clip.wav -o clip.wav/out.png": "is a file; choose another",
    "place clip.wav --report page.pdf": "expected one of .html",
    "animate no.wav": "there is no such file",
    "animate clip.wav -o film.avi": "expected one of .gif",
    "animate clip.wav --frames 1": "Invalid value for '--frames'",
    "assemble --base no/such/base": "there is no such folder",
    "assemble --base ''": "Got an empty text as base, expected a path or a name",
    "assemble --base a/b --encoder deaf:x": "expected beats:FILE",
    "assemble --base a/b --embedder no.bin": "there is no such file or folder",
    "assemble --base a/b -o clip.wav/model": "is a file",
    "assemble --base a/b --dtype int8": "is not one of",
    "assemble --base a/b --layers one": "expected numbers",
    "prepare --source nothing -o prepared": "expected a folder or one of esc",
    "prepare --source '' -o prepared": "expected a folder or one of esc",
    "prepare --source clips -o clip.wav/prepared": "is a file",
    "prepare --source clips -o prepared --model ./no-model": "there is no such folder",
    "prepare --source clips -o prepared --size 7": "Invalid value for '--size'",
    "train --data clips -o run": "it has no manifest.json",
    "train --data clips -o run --precision int8": "is not one of",
    "train -o clip.wav/run": "is a file",
    "train --recipe none -o run": "is not one of",
    "evaluate --clips no-clips": "there is no such folder",
    "evaluate -o clip.wav/results": "is a file",
    "evaluate -n 1": "Invalid value for '-n'",
    "demo --model ./no-model": "there is no such folder",
    "demo --port 99999": "Invalid value for '--port'",
    "rate clips --port 99999": "Invalid value for '--port'",
}
UNLABELLED = "experiments.train data=prepared out=run settings.weights.classification=0"
EXPERIMENTS = {
    "experiments.generate clip=no.wav": "there is no such file",
    "experiments.folder clips=no-clips": "there is no such file or folder; give a folder of sounds",
    "experiments.folder clips=clips out=pictures": "not a key of this command (did you mean output?)",
    "experiments.assemble base=no/such/base": "there is no such folder",
    "experiments.prepare source=pairs source.folder=clips": "Got no output",
    "experiments.prepare output=clip.wav/prepared": "is a file",
    "experiments.train data=clips out=run": "it has no manifest.json",
    "experiments.train data=prepared out=run": "The data has no labels",
    "experiments.train data=prepared": "Got no out",
    "experiments.train data= out=run": "Got an empty text as data",
    "experiments.train dat=prepared": "did you mean data?",
    f"{UNLABELLED} batch=big": "Got batch=big, expected a whole number; change batch.",
    f"{UNLABELLED} settings.steps=big": "Got settings.steps=big, expected a whole number",
    "experiments.evaluate n=all": "Got n=all, expected a whole number or null; change n.",
    "experiments.folder clips=clips seed=first": "Got seed=first, expected a whole number; change seed.",
    "experiments.assemble base=a/b layers=all": "Got layers=all, expected",
    "experiments.train bach=4": "did you mean batch?",
    "experiments.prepare sourc=esc": "did you mean source?",
    "experiments.evaluate clips=no-clips": "there is no such folder",
    "experiments.evaluate model=./no-model": "there is no such folder",
    "experiments.evaluate report=page.png": "expected one of .html",
}
CODE = f"""
import contextlib, io, json, runpy, shlex, sys
from typer import main, testing
from audiotoken.cli.app import app
command_line = main.get_command(app)
testing._get_command = lambda app: command_line
answers = {{}}
for command in sys.argv[1:]:
    before, words = set(sys.modules), shlex.split(command)
    if words[0].startswith("experiments."):
        before.add("hydra")
        sys.argv = words
        with contextlib.redirect_stderr(io.StringIO()) as stderr:
            try:
                code = runpy.run_module(words[0], run_name="__main__") and 0
            except SystemExit as end:
                code = end.code
        text = stderr.getvalue()
    else:
        result = testing.CliRunner().invoke(app, words)
        code, text = result.exit_code, result.stderr
    heavy = [name for name in {HEAVY} if name in {{*sys.modules}} - before]
    answers[command] = [code, " ".join(text.split()), heavy]
print(json.dumps(answers))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("folder")
    soundfile.write(folder / "clip.wav", 0.1 * np.sin(np.arange(9000)), 16_000)
    (folder / "-dash.wav").write_bytes((folder / "clip.wav").read_bytes())
    (folder / "loop.wav").symlink_to("loop.wav")
    (folder / "clips").mkdir()
    (folder / "prepared").mkdir()
    (folder / "prepared" / "manifest.json").write_text('{"names": []}', encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def answers(folder):
    """Of each command: [exit code, stderr, heavy modules that were imported]; all run in one new process."""
    code, environment = [sys.executable, "-c", CODE, *COMMANDS, *EXPERIMENTS], os.environ | {"PYTHONPATH": str(ROOT)}
    ran = subprocess.run(code, cwd=folder, env=environment, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


@pytest.mark.parametrize("command", [*COMMANDS, *EXPERIMENTS])
def test_errors_come_before_heavy_imports(command, answers, folder):
    code, message, heavy = answers[command]
    assert code == 2 and (COMMANDS | EXPERIMENTS)[command] in message, message
    assert heavy == []
    assert sorted(path.name for path in folder.iterdir()) == ["-dash.wav", "clip.wav", "clips", "loop.wav", "prepared"]


@pytest.mark.parametrize("clips", [*SYNTHETIC_NAMES, "https://example.org/a.tar", "a.tar", "a-{00..12}.tar", "."])
def test_clips_to_evaluate_on_may_be_shards_or_synthesised(clips):
    check_values("evaluate", {"clips": clips})

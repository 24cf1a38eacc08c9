"""Lines that matter, broken one at a time: do the tests notice? `python tests/mutants.py [words of a mutant ...]`

Each mutant is made in a copy of the tree, never in the checkout, and its tests run on it until the first fails. Before,
it is seen that the copy is what is tested (with a package that raises no test file may pass) and that all the tests
pass on the copy as it is. Exit code 1 when a mutant survives. `test_mutants.py` sees that the list does not rot.

Tests run in forks of this process, one at a time, which has imported what takes long: torch and the like, not ours.
"""

import importlib
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from shutil import copyfile
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("audiotoken", "guidance", "spatial")
SLOW = ("pytest", "torch", "hypothesis.strategies", "jaxtyping", "beartype", "scipy.signal", "scipy.optimize", "peft")
SLOW += ("diffusers.pipelines.stable_diffusion_xl", "diffusers.pipelines.stable_diffusion", "diffusers.schedulers")
SLOW += ("transformers.models.clip", "accelerate", "pyroomacoustics", "soundfile", "av")


class Mutant(NamedTuple):
    """What is broken, in one file, and the tests that must notice: files of tests/, or names in them."""

    name: str
    file: str
    old: str  # stands there exactly once
    new: str
    tests: str


M = Mutant
SETUPS, LISTEN, CAMERA = "spatial/setups.py", "spatial/listening.py", "spatial/camera.py"
ENERGIES, STEERING, BACKBONES = "guidance/energies.py", "guidance/steering.py", "guidance/backbones/unet.py"
PREPARED, BATCHES = "audiotoken/data/prepared.py", "audiotoken/data/batches.py"
LOSSES, TRAINING, PROMPT = "audiotoken/losses.py", "audiotoken/training.py", "audiotoken/prompt.py"
METRICS, AUDIO, EMBEDDER = "audiotoken/metrics.py", "audiotoken/audio.py", "audiotoken/embedder.py"
RECORDS = "spatial/test_simulation.py::test_31_degrees_between_two_microphones"
NOTICED = "audiotoken/data/test_prepared.py -k noticed"
REGION_MASKS, REGION_BIAS = "guidance/region_masks.py", "guidance/region_bias.py"
MASK, ROAD = "guidance/test_regions.py", "guidance/test_sampling.py"
SCORES, STEPS = "audiotoken/test_metrics_scores.py", "audiotoken/test_trainer_known.py"

MUTANTS = (
    # spatial: left and right, which channel, which source
    M("panned to the other side", SETUPS, "np.clip(azimuth, -np.pi", "np.clip(-azimuth, -np.pi",
      "spatial/test_simulation.py::test_31_degrees_between_the_loudspeakers"),
    M("the farther microphone is ahead", SETUPS, "delay = setup.spacing * right", "delay = -setup.spacing * right",
      "spatial/test_setups.py"),
    M("the simulator's right is left", "spatial/rooms.py", "np.array([np.sin(angle), np.cos(angle), 0.0])",
      "np.array([-np.sin(angle), np.cos(angle), 0.0])", RECORDS),
    M("the farther microphone is louder", SETUPS, "for sign in (-1, 1))", "for sign in (1, -1))",
      "spatial/test_setups.py"),
    M("microphones aim inwards", SETUPS, "zip(gains, (-1, 1), strict=True)", "zip(gains, (1, -1), strict=True)",
      "spatial/test_setups.py"),
    M("side is right of middle", SETUPS, "-right + 0j", "right + 0j",
      "spatial/test_setups.py"),
    M("the far ear is louder", SETUPS, "10 ** (decibels / 40)", "10 ** (-decibels / 40)",
      "spatial/test_setups.py"),
    M("the far ear is ahead", SETUPS, "strict=True)) * 1e-6", "strict=True)) * -1e-6", "spatial/test_setups.py"),
    M("a finder's microphones change places", "spatial/doa_baselines.py", "[half, -half]", "[-half, half]",
      "spatial/test_localisation.py -k srp"),
    M("the other channel is dead", LISTEN, '("left", "right")[', '("right", "left")[',
      "spatial/test_listening.py -k two_sides"),
    M("the peak's parabola is mirrored", "spatial/peaks.py", "0.5 * (before - after)", "0.5 * (after - before)",
      "spatial/test_peaks.py"),
    M("the quieter channel is the signal", "spatial/separation.py", "sum(axis=2).argmax(", "sum(axis=2).argmin(",
      "spatial/test_separation.py -k louder_channel"),
    M("images in no order", "spatial/bss.py", "separated[order]", "separated", "spatial/test_bss.py"),
    M("what is no number is kept", "spatial/bss.py", ".max() < wild else None", ".max() < wild else images",
      "spatial/test_bss.py"),
    M("the camera sees a mirror", CAMERA, "return 0.5 + 0.5 * math.tan", "return 0.5 - 0.5 * math.tan",
      "spatial/test_camera.py"),
    M("what flies sinks", CAMERA, "* (1 - shape.lift)", "* (1 + shape.lift)", "spatial/test_camera.py"),
    M("a box is too tall", CAMERA, "width / shape.aspect, foot))", "9.0, foot))", "spatial/test_camera.py"),
    M("what flies stands", "spatial/shapes.py", "LIFTS.get(known, 0.0)", "0.0", "spatial/test_shapes.py"),
    M("noise stays where it was", "guidance/frames.py", ".roll(moved, (3, 2))", ".roll((0, 0), (3, 2))",
      "guidance/test_frames.py"),
    M("what is spoilt is accepted", "audiotoken/mini/strict_judge.py", " and self.spoilt <= SPOILT_AT_MOST", "",
      "audiotoken/mini/test_strict_judge.py"),
    M("loud is small", CAMERA, "SIZES = (0.25, 0.55)", "SIZES = (0.55, 0.25)", "spatial/test_camera.py"),
    M("boxes in the order of the sources", CAMERA, "for i, (left, right) in zip(order,",
      "for i, (left, right) in zip(range(len(order)),", "spatial/test_camera.py"),
    M("the worst match", "spatial/matching.py", "linear_sum_assignment(worth, maximize=True)\n    return {",
      "linear_sum_assignment(worth)\n    return {", "spatial/test_matching.py"),
    M("below the threshold is a match", "spatial/matching.py", "above = scores - threshold", "above = scores",
      "spatial/test_matching.py"),
    M("left is right", "spatial/metrics.py", "else int(np.sign(azimuth))", "else -int(np.sign(azimuth))",
      "spatial/test_spatial_metrics.py"),
    M("what all activities share is a direction", "spatial/weighted.py", "(votes - others)[", "votes[",
      "spatial/test_weighted.py"),
    # names and words
    M("two of a kind cost nothing", "audiotoken/stereo/joint_names.py", "evidence - price * (uses + use)",
      "evidence - 0 * (uses + use)", "audiotoken/stereo/test_joint_names.py"),
    M("a taken name is free", "audiotoken/stereo/joint_names.py", "price * (uses + use)", "price * (use)",
      "audiotoken/stereo/test_joint_names.py"),
    M("what comes and goes together is two", "audiotoken/stereo/joint_names.py", "TOGETHER * together", "0 * together",
      "audiotoken/stereo/test_joint_names.py"),
    M("a constant hum comes and goes", "spatial/comodulation.py", "levels - levels.mean(axis=0)", "levels",
      "spatial/test_comodulation.py"),
    M("a new name is always supported", "audiotoken/stereo/joint_names.py", "score >= SUPPORT and", "True and",
      "audiotoken/stereo/test_joint_names.py"),
    M("a word is heard wherever its source is", "audiotoken/stereo/word_listening.py", "np.maximum(share, FLOOR)",
      "np.ones_like(share)", "audiotoken/stereo/test_word_listening.py"),
    M("windows count to their ends", "audiotoken/stereo/long_words.py", "self.overlap / 2) / self.encoder.hop",
      "self.overlap) / self.encoder.hop", "audiotoken/stereo/test_long_words.py -k joined"),
    M("a wrong word costs twice as much in LTSim", "guidance/layout_metrics.py", "(1 - _same_words(first, second)) / 2",
      "(1 - _same_words(first, second))", "guidance/test_layout_metrics.py -k thing_more"),
    M("CED's features run band by band", "audiotoken/encoders/ced.py", ".unflatten(1, (BANDS, -1)).transpose(1, 2)",
      ".unflatten(1, (BANDS, -1))", "audiotoken/encoders/test_ced.py"),
    M("CED's key is its query", "audiotoken/encoders/ced.py", "(query, key, value)  #", "(query, query, value)  #",
      "audiotoken/encoders/test_ced.py"),
    # guidance: axes, terms, the order of the halves
    M("a mask lies on its side", "guidance/regions.py", "mask[y0:y1, x0:x1] = 1", "mask[x0:x1, y0:y1] = 1", MASK),
    M("a cover lies on its side", "guidance/regions.py", "_overlap(y0, y1, h), _overlap(x0, x1, w)",
      "_overlap(x0, x1, h), _overlap(y0, y1, w)", MASK),
    M("FLUX 3 counts across first", "guidance/forms/flux3.py", '"bbox": [y0, x0, y1, x1]', '"bbox": [x0, y0, x1, y1]',
      "guidance/test_layout.py -k flux3"),
    M("MOSS counts from the left", "guidance/forms/moss.py", "x0 - width // 2,", "x0,",
      "guidance/test_layout.py -k moss"),
    M("an area lies on its side", "audiotoken/comfy/areas.py", '("percentage", y1 - y0, x1 - x0, y0, x0)',
      '("percentage", x1 - x0, y1 - y0, x0, y0)', "audiotoken/comfy/test_comfy_layout.py -k areas_hold"),
    M("nodes count from the right", "audiotoken/comfy/hearing.py", "key=lambda each: each.direction.azimuth)",
      "key=lambda each: -each.direction.azimuth)", "audiotoken/comfy/test_comfy_listen.py -k left_to_right"),
    M("the centre is heard on the right", "audiotoken/comfy/audio.py", "6: [(1, 0), (0, 1), (HALF, HALF),",
      "6: [(1, 0), (0, 1), (0, 1),", "audiotoken/comfy/test_comfy_listen.py -k surround"),
    M("the base ratio is the other one", "guidance/regional.py",
      "self.base_ratio * func(**inputs) + (1 - self.base_ratio)",
      "(1 - self.base_ratio) * func(**inputs) + self.base_ratio",
      "guidance/test_regional.py guidance/test_backbones.py"),
    M("latents shifted the wrong way", "guidance/backbones/transformer.py", "(latents - (config.shift_factor or 0.0))",
      "(latents + (config.shift_factor or 0.0))", "audiotoken/tasks/test_train.py -k latents_of_every"),
    M("the flow runs backwards", "audiotoken/losses.py", "- (noise - latents)).square()",
      "- (latents - noise)).square()", "audiotoken/test_pipeline_transformers.py -k known_velocity"),
    M("a side is the other side", "audiotoken/evaluation/consistency.py", "float(place * azimuth > 0)",
      "float(place * azimuth < 0)", "audiotoken/evaluation/test_consistency.py -k scores_one"),
    M("a wide map is high", "guidance/regions.py", "return h, pixels // h", "return pixels // h, h",
      f"{MASK} guidance/test_energies.py"),
    M("boxdiff without corners", ENERGIES, "1 - inner + outer + _corner_term(group, mean)",
      "1 - inner + outer", "guidance/test_energies_by_hand.py"),
    M("centroid: variance over 6", REGION_MASKS, "(x1 - x0) ** 2 / 12", "(x1 - x0) ** 2 / 6",
      "guidance/test_energies_by_hand.py"),
    M("centroid: x is y", REGION_MASKS, "torch.stack([torch.ones(h, w), x, y,", "torch.stack([torch.ones(h, w), y, x,",
      "guidance/test_energies.py"),
    M("leak of all pixels of others", REGION_MASKS, "others * (1 - covers[row, number])", "others",
      "guidance/test_energies_by_hand.py"),
    M("combined without centroids", ENERGIES, "group.average(layout + centroid)", "group.average(layout)",
      "guidance/test_energies_by_hand.py"),
    M("combined without ownership", ENERGIES, "0.5 * _miss_ownership(group)", "0.0 * _miss_ownership(group)",
      "guidance/test_energies_by_hand.py"),
    M("ownership: the region is the others'", ENERGIES, "((1 - inside) * group.get(weigh", "(inside * group.get(weigh",
      "guidance/test_energies_by_hand.py"),
    M("the most excited word counts", ENERGIES, "get(is_region)).amax(1)", "get(is_region)).amin(1)",
      "guidance/test_energies.py"),
    M("attention is shared over pixels", "guidance/attention.py", ".softmax(-1)", ".softmax(-2)",
      f"{ROAD}::test_capture_changes_no_bit_and_maps_are_shares"),
    M("with the prompt first", BACKBONES, "torch.cat([conditioning.negative, conditioning.positive])",
      "torch.cat([conditioning.positive, conditioning.negative])",
      f"{ROAD}::test_without_regions_it_is_the_pipeline_bit_for_bit"),
    M("guided away from the prompt", BACKBONES, "conditioning.guidance_scale * (conditional - unconditional)",
      "conditioning.guidance_scale * (unconditional - conditional)",
      f"{ROAD}::test_without_regions_it_is_the_pipeline_bit_for_bit"),
    M("the first half is read", "guidance/attention.py", "len(query) - capture.rows", "0 * capture.rows", ROAD),
    M("up the energy", STEERING, "latents.float() - step * latent_scale", "latents.float() + step * latent_scale",
      f"{ROAD}::test_energy_falls_under_any_scheduler"),
    M("a bias out of the box", REGION_BIAS, "sign = 2 * region.cover(h, w).flatten() - 1",
      "sign = 1 - 2 * region.cover(h, w).flatten()", "guidance/test_energies_by_hand.py"),
    M("the other half is biased", REGION_BIAS, "torch.cat([torch.zeros_like(bias), bias])",
      "torch.cat([bias, torch.zeros_like(bias)])", "guidance/test_energies_by_hand.py"),
    M("one seed for all", "guidance/backbones/base.py", "manual_seed(seed) for seed in seeds",
      "manual_seed(seeds[0]) for seed in seeds",
      f"{ROAD}::test_a_row_that_is_good_stays_and_rows_are_apart"),
    M("above is below", "guidance/metrics.py", 'in ("left", "above") else -1', 'in ("left", "below") else -1', MASK),
    # audiotoken: where a sound stands, what is learnt, with which seed
    M("a sound one token early", PROMPT, "range(len(ids), len(ids) + lengths[i - 1])",
      "range(len(ids) - 1, len(ids) + lengths[i - 1] - 1)", "audiotoken/test_prompt.py"),
    M("a sound in the place of the end", PROMPT, "positions[-1][-1] > limit - 2", "positions[-1][-1] > limit - 1",
      "audiotoken/test_prompt.py"),
    M("a weight is the other way round", PROMPT, "blank + weights * (embeddings - blank)",
      "embeddings + weights * (blank - embeddings)", "audiotoken/test_pipeline_kinds.py -k weigh"),
    M("pooled over the batch", EMBEDDER, "dim=-1)).softmax(dim=1)", "dim=-1)).softmax(dim=0)",
      "audiotoken/test_embedder.py"),
    M("the tokens of a clip are mixed", EMBEDDER, "steps.unflatten(2, (self.tokens_per_clip, -1)).transpose(1, 2)",
      "steps.unflatten(2, (-1, self.tokens_per_clip)).permute(0, 3, 1, 2)", "audiotoken/test_embedder.py"),
    M("away from the label", LOSSES, "return (1 - cosine).square()", "return (1 + cosine).square()",
      "audiotoken/test_training.py::test_classification_loss_by_hand"),
    M("SNR of the other kind", LOSSES, "snr + 1 if velocity else snr", "snr if velocity else snr + 1",
      "audiotoken/test_trainer.py::test_min_snr_by_hand"),
    M("the weight of a pixel is forgotten", LOSSES, "error if weight is None else error * weight", "error",
      "audiotoken/test_training.py::test_diffusion_loss_by_hand"),
    M("classification counts ten times", "audiotoken/objective.py", "classification: float = 0.01",
      "classification: float = 0.1", STEPS),
    M("all terms count 1", TRAINING, "getattr(settings.weights, name) * term", "term",
      "audiotoken/test_training.py::test_training_lowers_the_losses_and_changes_only_the_embedder"),
    M("the same dropout in each step", TRAINING, '"dropout", settings.seed, step, accel',
      '"dropout", settings.seed, accel', STEPS),
    M("the same noise in each place", TRAINING, '"noise level", seed, step, index)', '"noise level", seed, step)',
      "audiotoken/test_trainer.py::test_noise_is_of_the_place_in_the_batch"),
    M("batches from the start again", TRAINING, "batches(start), strict", "batches(0), strict",
      "audiotoken/test_training.py::test_resumed_equals_uninterrupted"),
    M("latents without noise of the step", BATCHES, "self.seed, step, place) for place in places])",
      "self.seed, place) for place in places])", "audiotoken/data/test_batches.py"),
    M("picture i is that of the seed", "audiotoken/pipeline.py", "seeds = [seed + i for", "seeds = [seed for",
      "audiotoken/test_pipeline.py::test_picture_i_of_several_is_that_of_seed_plus_i"),
    M("mono is the left", AUDIO, "mean = recording.mean(axis=0)", "mean = recording[0]",
      "audiotoken/test_audio.py -k mono"),
    M("resampled the other way", AUDIO, "Fraction(int(wanted), int(rate))", "Fraction(int(rate), int(wanted))",
      "audiotoken/test_audio.py -k rate"),
    M("an odd chunk is not padded", "audiotoken/chunked_files.py",
      "at += wide + length + (length % 2 if even else 0)", "at += wide + length", "audiotoken/test_audio.py"),
    M("any settings go on", "audiotoken/data/manifest.py", "if changed := [key for key in ours | theirs if",
      "if changed := [key for key in () if",
      "audiotoken/data/test_prepared.py::test_other_settings_need_another_folder"),
    M("any latent channels fit", PREPARED,
      "have, want = rows.moments.shape[1] // 2, latent_channels(pipe.vae)", "have = want = 0", NOTICED),
    M("any scaling fits", PREPARED,
      "have, want = self.scaling_factor, scaling_factor(pipe.vae)", "have = want = 0", NOTICED),
    M("any VAE fits", PREPARED, "if part is not None and settings[name]",
      "if part is None and settings[name]", NOTICED),
    M("win rate over the pictures", METRICS, "scores = _square(a, b).T", "scores = _square(a, b)", SCORES),
    M("z over the clips", METRICS, "others = _others(scores)\n    deviation",
      "others = _others(scores.T)\n    deviation", SCORES),
    M("distance without the means", METRICS, "float(max(gap @ gap + spread, 0.0))", "float(max(spread, 0.0))", SCORES),
    M("the farthest class", METRICS, "scores.argmax(axis=1) == wanted", "scores.argmin(axis=1) == wanted", SCORES),
    M("a high FID is good", METRICS, '"fid": False,\n', '"fid": True,\n', SCORES),
)  # fmt: skip


def matches(mutant: Mutant) -> int:
    """How often the old text stands in its file: once, or the mutant is stale."""
    return (ROOT / mutant.file).read_text(encoding="utf-8").count(mutant.old)


def copied(folder: Path) -> None:
    """What git knows or would take up, as it is now; no byte code, whose times could hide a change."""
    asked = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(asked, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in filter(None, names.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            copyfile(ROOT / name, folder / name)


def passed(folder: Path, tests: str) -> bool:
    """Do the tests pass on the copy? That there is none is an error."""
    child = multiprocessing.get_context("fork").Process(target=_test, args=(folder, tests))
    child.start()
    child.join()
    if child.exitcode not in (0, 1, 2):  # 1: failed; 2: could not even be imported
        sys.exit(f"Pytest could not run {tests!r} (exit code {child.exitcode}); see {folder / 'said.txt'}.")
    return child.exitcode == 0


def _test(folder: Path, tests: str) -> None:
    """In a process of its own: pytest on the copy, what it says in a file there."""
    os.chdir(folder)
    sys.path[:] = [str(folder), *(path for path in sys.path if Path(path).resolve() not in (ROOT, ROOT / "tests"))]
    said = os.open("said.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(said, 1)
    os.dup2(said, 2)
    names, _, words = tests.partition(" -k ")
    import pytest

    arguments = [*(f"tests/{name}" for name in names.split()), *(["-k", words] if words else [])]
    code = pytest.main(["-x", "-q", "-p", "no:cacheprovider", *arguments])
    os._exit(int(code))


def with_text(file: Path, text: str, folder: Path, tests: str) -> bool:
    """Whether the tests pass while the file has another text."""
    before = file.read_text(encoding="utf-8")
    file.write_text(text, encoding="utf-8")
    try:
        return passed(folder, tests)
    finally:
        file.write_text(before, encoding="utf-8")


def main(words: list[str]) -> int:
    chosen = [one for one in MUTANTS if not words or any(word in f"{one.name} {one.file}" for word in words)]
    if stale := [one.name for one in chosen if matches(one) != 1]:
        sys.exit(f"The old text of these is not there exactly once, bring them up to date: {', '.join(stale)}.")
    sys.dont_write_bytecode = True
    os.environ["OMP_NUM_THREADS"] = "1"
    for module in SLOW:
        with suppress(ImportError):
            importlib.import_module(module)
    with tempfile.TemporaryDirectory() as place:
        folder, survived, began = Path(place), [], time.monotonic()
        copied(folder)
        for package, tests in zip(
            PACKAGES, ("audiotoken/test_embedder.py", MASK, "spatial/test_camera.py"), strict=True
        ):
            if with_text(folder / package / "__init__.py", "raise RuntimeError\n", folder, tests):
                sys.exit(f"{tests} passed without {package}: the copy is not what is tested.")
        for tests in dict.fromkeys(one.tests for one in chosen):
            if not passed(folder, tests):
                sys.exit(f"{tests} fails already with nothing broken:\n{(folder / 'said.txt').read_text()}")
        print(f"the tests pass with nothing broken ({time.monotonic() - began:.0f} s)", flush=True)
        for one in chosen:
            started, file = time.monotonic(), folder / one.file
            text = file.read_text(encoding="utf-8").replace(one.old, one.new)
            alive = with_text(file, text, folder, one.tests)
            survived += [one] if alive else []
            said = "SURVIVED" if alive else "killed"
            print(f"{said:8} {time.monotonic() - started:5.1f} s  {one.file}: {one.name}", flush=True)
        print(f"{len(chosen) - len(survived)} of {len(chosen)} killed in {time.monotonic() - began:.0f} s")
    return 1 if survived else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

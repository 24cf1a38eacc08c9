"""What a run may ask of the trainer: parts, processes, precision, LoRA, schedules, stops; and that it stays exact."""

import multiprocessing
import os
import signal
import socket
from dataclasses import replace

import pytest
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState, GradientState, PartialState
from diffusers import DDPMScheduler
from test_training import LABELS, WIDTH, batches, weights_of

from audiotoken.checkpoint import read_checkpoint
from audiotoken.debug import debug_pipeline
from audiotoken.embedder import AudioEmbedder
from audiotoken.errors import CheckpointError
from audiotoken.learner import Learner, lora_state
from audiotoken.losses import classification_loss, min_snr_weight, token_l2
from audiotoken.training import Batch, LossWeights, Settings, draw_noise, train_embedder

PARENT = multiprocessing.get_context("fork")  # a child that has imported everything already


def still_pipeline(seed: int = 0, **embedder):
    """Without dropout, whose masks depend on how a batch is cut."""
    pipe = debug_pipeline(seed)
    torch.manual_seed(seed)
    pipe.audio_embedder = AudioEmbedder(WIDTH, 32, dropout=0.0, **embedder)
    return pipe


def trained(settings: Settings, pipe=None, cut=lambda batch: batch, **kwargs):
    """The embedder's weights and what was reported."""
    pipe, reports = pipe or still_pipeline(), []
    train_embedder(pipe, lambda start: map(cut, batches(start)), LABELS, settings, on_progress=reports.append, **kwargs)
    return {name: weight.detach().clone() for name, weight in pipe.audio_embedder.state_dict().items()}, reports


@pytest.fixture
def gradients(monkeypatch):
    """Of each step, before Adam makes all of them alike."""
    seen, update = [], Learner.update

    def record(learner, accelerator):
        seen.append([weight.grad.clone() for weight in learner.weights])
        update(learner, accelerator)

    monkeypatch.setattr(Learner, "update", record)
    return seen


def same_gradients(ours, theirs) -> None:
    for mine, other in zip(ours, theirs, strict=True):
        assert (mine - other).abs().max() <= 1e-4 * mine.abs().max() + 1e-7


def test_min_snr_by_hand():
    scheduler = DDPMScheduler(prediction_type="epsilon")
    levels = torch.tensor([5, 900])
    kept = scheduler.alphas_cumprod[levels]
    high, low = (kept / (1 - kept)).tolist()
    assert high > 5 > low
    want = min_snr_weight(scheduler, levels, 5.0).flatten().tolist()
    assert want == pytest.approx([5 / high, 1.0], rel=1e-5)
    velocity = DDPMScheduler(prediction_type="v_prediction")
    assert min_snr_weight(velocity, levels, 5.0).flatten().tolist() == pytest.approx(
        [5 / (high + 1), low / (low + 1)], rel=1e-5
    )


def test_token_l2_by_hand():
    assert token_l2(torch.tensor([[[3.0, 4.0]], [[0.0, 1.0]]])).item() == 13.0


def test_classification_over_processes_has_the_gradient_of_the_whole_batch():
    torch.manual_seed(0)
    tokens, labels, names = torch.randn(4, 1, 5, requires_grad=True), torch.tensor([0, 1, 1, 0]), torch.randn(2, 5)
    classification_loss(tokens, labels, names).backward()
    whole, parts = tokens.grad.clone(), []
    mean = torch.cosine_similarity(tokens[:, 0], names[labels], dim=-1).mean().detach()
    for half in (slice(0, 2), slice(2, 4)):
        part = tokens[half].detach().requires_grad_()
        classification_loss(part, labels[half], names, lambda own: mean).backward()
        parts.append(part.grad / 2)  # DDP takes the mean
    torch.testing.assert_close(torch.cat(parts), whole)


def test_noise_is_of_the_place_in_the_batch():
    def draw_level(generator):
        return torch.randint(1000, (), generator=generator)

    noise, level = draw_noise(0, 3, 1, (2, 3), draw_level)
    again, same = draw_noise(0, 3, 1, (2, 3), draw_level)
    assert torch.equal(noise, again) and level == same and 0 <= level < 1000
    others = [draw_noise(*where, (2, 3), draw_level)[0] for where in ((1, 3, 1), (0, 4, 1), (0, 3, 2))]
    assert not any(torch.equal(noise, other) for other in others)


def test_parts_of_a_batch_add_up_to_it(gradients):
    """But for the classification loss, which the published code squares after the mean."""
    settings = Settings(steps=3, learning_rate=1e-2, weights=LossWeights(classification=0))
    (_, told), (_, told_of_parts) = trained(settings), trained(replace(settings, accumulate=3))
    same_gradients(gradients[0], gradients[3])
    for one, other in zip(told, told_of_parts, strict=True):
        assert one.losses["diffusion"] == pytest.approx(other.losses["diffusion"], rel=1e-4)


def free_port() -> int:
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        return place.getsockname()[1]


def one_of_two(rank: int, port: int, folder, settings: Settings, gradients: list) -> None:
    """A process of two: half of each batch."""
    for state in (AcceleratorState, PartialState, GradientState):
        state._reset_state()
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "ACCELERATE_USE_CPU": "true"}
    accelerator = Accelerator(cpu=True)
    assert accelerator.num_processes == 2
    half = slice(2 * rank, 2 * rank + 2)
    weights, reports = trained(
        settings,
        cut=lambda batch: batch.rows(half.start, half.stop),
        accelerator=accelerator,
        checkpoint=folder / "run.pt",
    )
    losses = [report.losses for report in reports]
    torch.save({"weights": weights, "losses": losses, "gradients": gradients}, folder / f"{rank}.pt")
    torch.distributed.destroy_process_group()


@pytest.mark.parametrize(
    "settings", [Settings(steps=4, learning_rate=1e-2, save_every=2, weights=LossWeights(1, 1, 1))]
)
def test_two_processes_are_one_with_twice_the_batch(settings, tmp_path, gradients):
    port = free_port()
    children = [
        PARENT.Process(target=one_of_two, args=(rank, port, tmp_path, settings, gradients)) for rank in range(2)
    ]
    for child in children:
        child.start()
    for child in children:
        child.join(120)
    assert [child.exitcode for child in children] == [0, 0]
    first, second = (torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(2))
    whole, reports = trained(settings)
    for name, weight in whole.items():
        assert torch.equal(first["weights"][name], second["weights"][name]), name
        if name != "pool.unary.bias":  # no gradient but rounding, as softmax does not see it; Adam makes steps of it
            assert (first["weights"][name] - weight).abs().max() < 0.1 * settings.learning_rate, name
    same_gradients(gradients[0], first["gradients"][0])
    assert second["losses"] == []  # the main process reports
    for mine, theirs in zip(reports, first["losses"], strict=True):
        assert theirs == pytest.approx(mine.losses, rel=1e-4)
    assert read_checkpoint(tmp_path / "run.pt", "")["step"] == 4


KILLED = Settings(steps=8, learning_rate=1e-2, ema=0.9, lora=2, save_every=3)


@pytest.fixture(scope="module")
def never_killed():
    """Weights, and what was reported, of the whole run."""
    pipe, reports = debug_pipeline(), []
    train_embedder(pipe, batches, LABELS, KILLED, on_progress=reports.append)
    return weights_of(pipe), reports


def run_until_killed(number, file, told) -> None:
    """In a child: says the losses of each step on the way, and gets the signal after the fifth."""
    torch.set_num_threads(1)

    def report(progress):
        with open(told, "a") as stream:
            stream.write(f"{progress.step} {progress.losses['total']!r}\n")
        if progress.step == 5:
            os.kill(os.getpid(), number)

    train_embedder(debug_pipeline(), batches, LABELS, KILLED, checkpoint=file, on_progress=report)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_killed_and_started_again_it_is_the_run_that_was_not(number, never_killed, tmp_path):
    whole, reports = never_killed
    file, told, resumed = tmp_path / "run.pt", tmp_path / "told.txt", []
    child = PARENT.Process(target=run_until_killed, args=(number, file, told))
    child.start()
    child.join(60)
    assert child.exitcode != 0
    steps, kept = told.read_text().count("\n"), read_checkpoint(file, "")["step"]
    assert (steps, kept) == ((5, 3) if number == signal.SIGKILL else (6, 6))  # asked nicely, it loses nothing
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
    again = debug_pipeline()
    train_embedder(again, batches, LABELS, KILLED, checkpoint=file, on_progress=resumed.append)
    assert [report.step for report in resumed] == list(range(kept + 1, 9))
    before = dict(line.split() for line in told.read_text().splitlines())
    for report in reports:  # before the signal: the same numbers, to the last bit
        assert before.get(str(report.step), repr(report.losses["total"])) == repr(report.losses["total"])
    for report in resumed:  # and after it
        assert report.losses == reports[report.step - 1].losses
    ours = weights_of(again)
    for name, weight in whole.items():
        assert torch.equal(weight, ours[name]), name


def test_lora_layers_learn_too_and_can_be_saved(tmp_path):
    pipe = still_pipeline()
    before = weights_of(pipe)
    settings = Settings(steps=3, learning_rate=1e-2, lora=2, weights=LossWeights(classification=0))
    train_embedder(pipe, batches, LABELS, settings)
    layers = lora_state(pipe.unet)
    assert layers and any(weight.abs().max() > 0 for name, weight in layers.items() if "lora_B" in name)
    after = {name.replace("base_layer.", ""): weight for name, weight in weights_of(pipe).items()}
    for name, weight in before.items():
        assert torch.equal(after[name], weight) != name.startswith("audio_embedder."), name
    pipe.save_lora_weights(tmp_path, unet_lora_layers=layers)
    sound = torch.randn(1, WIDTH * 10).numpy()
    want = pipe(sound, rate=1000, seed=1).images[0].tobytes()
    other = still_pipeline()
    other.audio_embedder = pipe.audio_embedder
    plain = other(sound, rate=1000, seed=1).images[0].tobytes()
    other.load_lora_weights(tmp_path)
    assert other(sound, rate=1000, seed=1).images[0].tobytes() == want != plain


def test_checkpointing_changes_memory_only():
    settings = Settings(steps=2, learning_rate=1e-2)
    (plain, _), (frugal, _) = trained(settings), trained(replace(settings, gradient_checkpointing=True))
    for name, weight in plain.items():
        torch.testing.assert_close(frugal[name], weight)


@pytest.mark.slow
def test_half_precision_learns_what_full_precision_does():
    """Frozen parts in bfloat16, what learns in float32."""
    pipe = still_pipeline()
    pipe.to(torch.bfloat16)
    settings = Settings(steps=25, learning_rate=3e-3, lora=2, weights=LossWeights(classification=1.0))
    _, reports = trained(settings, pipe)
    assert {weight.dtype for weight in pipe.audio_embedder.parameters()} == {torch.float32}
    assert {weight.dtype for weight in lora_state(pipe.unet).values()} == {torch.float32}
    assert pipe.unet.conv_in.weight.dtype == torch.bfloat16
    assert reports[-1].losses["classification"] < 0.6 * reports[0].losses["classification"]


def test_several_tokens_and_other_poolings_train():
    pipe = still_pipeline(tokens_per_clip=3, pooling="max")
    _, reports = trained(Settings(steps=20, learning_rate=3e-3, weights=LossWeights(classification=1.0)), pipe)
    assert reports[-1].losses["classification"] < reports[0].losses["classification"]


def test_the_learning_rate_follows_its_schedule():
    settings = Settings(steps=10, learning_rate=1.0, warmup=2, schedule="cosine")
    rates = [Learner.create(still_pipeline(), settings).learning_rate(step) for step in (0, 1, 2, 6, 10)]
    assert rates == pytest.approx([0.5, 1.0, 1.0, 0.5, 0.0])
    _, reports = trained(replace(settings, learning_rate=1e-3, schedule="linear", steps=4))
    assert [report.learning_rate for report in reports] == pytest.approx([0.5e-3, 1e-3, 1e-3, 0.5e-3])
    with pytest.raises(ValueError, match="expected one of constant, linear, cosine"):
        trained(replace(settings, schedule="sometimes"))


def test_looking_at_it_does_not_change_it(tmp_path):
    settings, seen = Settings(steps=6, learning_rate=1e-2, ema=0.5), []
    plain, _ = trained(settings)
    pipe = still_pipeline()

    def look(step):
        assert not pipe.audio_embedder.training
        torch.rand(5)
        seen.append((step, pipe(torch.randn(9000).numpy(), rate=16_000, seed=0).images[0].size))

    looked, _ = trained(settings, pipe, evaluate=look, evaluate_every=2)
    assert seen == [(2, (32, 32)), (4, (32, 32)), (6, (32, 32))]
    for name, weight in plain.items():
        assert torch.equal(looked[name], weight), name


def test_refuses_other_data_and_another_length_where_the_rate_follows_it(tmp_path):
    file, settings = tmp_path / "run.pt", Settings(steps=2, schedule="cosine")
    trained(settings, checkpoint=file, about={"data": "a"})
    with pytest.raises(CheckpointError, match="made with data=a, now it is b"):
        trained(settings, checkpoint=file, about={"data": "b"})
    with pytest.raises(CheckpointError, match="made with steps=2, now it is 5"):
        trained(replace(settings, steps=5), checkpoint=file, about={"data": "a"})


def test_a_full_disk_is_a_sentence_and_keeps_the_old_checkpoint(tmp_path, monkeypatch):
    file = tmp_path / "run.pt"
    trained(Settings(steps=1), checkpoint=file)

    def full(values, stream):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(CheckpointError, match="at step 2: No space left on device; make room"):
        trained(Settings(steps=2), checkpoint=file)
    assert read_checkpoint(file, "")["step"] == 1


def test_rows_of_a_batch():
    batch = Batch(torch.arange(4.0).view(4, 1, 1, 1), torch.zeros(4, 2, 3), torch.tensor([3, 2, 1, 0]), list("abcd"))
    part = batch.rows(1, 3)
    assert part.latents.flatten().tolist() == [1, 2] and part.labels.tolist() == [2, 1] and part.texts == ["b", "c"]
    assert part.weight is None and len(part) == 2

"""Training does not wait for a GPU, and asks for nothing twice: by order, by counting, and by stand-ins for a GPU."""

from types import SimpleNamespace

import pytest
import torch
from accelerate import Accelerator
from test_trainer import still_pipeline, trained
from test_training import LABELS, batches

from audiotoken import learner as learning
from audiotoken import step_losses, training, transfer
from audiotoken.data.batches import Batches
from audiotoken.data.examples import Encoded
from audiotoken.denoising import DiffusionDenoising
from audiotoken.learner import Learner, Settings
from audiotoken.objective import Objective
from audiotoken.training import train_embedder
from experiments.benchmarks.launches import CountLaunches

SETTINGS = Settings(steps=4, learning_rate=1e-2, save_every=3)


@pytest.fixture
def late(monkeypatch):
    """As on a GPU; the order of what happens."""
    events = []

    def tell(owner, name, what):
        inner = getattr(owner, name)

        def call(*args, **kwargs):
            events.append(what(*args))
            return inner(*args, **kwargs)

        monkeypatch.setattr(owner, name, call)

    monkeypatch.setattr(training, "steps_behind", lambda device: 1)
    tell(training, "_run_step", lambda *args: f"run {args[3] + 1}")
    tell(step_losses._Copy, "read", lambda copy: f"read {copy.step}")
    tell(Learner, "save", lambda *args: f"save {args[2]}")
    return events


def test_losses_are_read_a_step_late_and_before_a_checkpoint(late, tmp_path):
    trained(SETTINGS, checkpoint=tmp_path / "run.pt")
    read = "run 1, run 2, read 1, run 3, read 2, read 3, save 3, run 4, read 4, save 4"
    assert ", ".join(late) == read


def test_late_losses_are_the_same(monkeypatch):
    weights, reports = trained(SETTINGS)
    monkeypatch.setattr(training, "steps_behind", lambda device: 1)
    again, late = trained(SETTINGS)
    assert [(each.step, each.losses, each.learning_rate) for each in late] == [
        (each.step, each.losses, each.learning_rate) for each in reports
    ]
    assert all(torch.equal(weight, again[name]) for name, weight in weights.items())


def test_a_loss_that_is_not_finite_is_never_saved(late, tmp_path):
    def spoilt(start):
        for step, batch in zip(range(start, 9), batches(start), strict=False):
            if step == 2:
                batch.features[0, 0, 0] = torch.nan
            yield batch

    with pytest.raises(FloatingPointError, match="nan at step 3"):
        train_embedder(still_pipeline(), spoilt, LABELS, SETTINGS, checkpoint=tmp_path / "run.pt")
    assert not (tmp_path / "run.pt").exists()


def objective_of(pipe) -> Objective:
    for part in (pipe.unet, pipe.vae, pipe.text_encoder, pipe.audio_encoder):
        part.requires_grad_(False)
    return Objective(pipe, LABELS, DiffusionDenoising.of(pipe))


def step_of(objective: Objective) -> dict[str, torch.Tensor]:
    batch = next(batches(0))
    terms = objective(batch, torch.ones_like(batch.latents), torch.tensor([3, 400, 700, 999]))
    sum(terms.values()).backward()
    return terms


def test_a_step_reads_nothing_from_the_device():
    """On "meta" reading a value is an error, and transfers are counted."""
    objective = objective_of(still_pipeline().to("meta"))
    objective.embedder.to("meta")
    step_of(objective)  # the scheduler sends its levels once
    with CountLaunches() as counter:
        step_of(objective)
    assert counter.total > 100 and "from" not in counter.transfers


def test_device_and_precision_are_asked_once(monkeypatch):
    pipe, asked = still_pipeline(), []
    objective = objective_of(pipe)
    step_of(objective)
    for owner, name in ((type(pipe.unet), "device"), (type(pipe.unet), "dtype"), (type(pipe), "_execution_device")):
        kept = getattr(owner, name)
        monkeypatch.setattr(owner, name, property(lambda self, kept=kept, n=name: asked.append(n) or kept.fget(self)))
    step_of(objective)
    assert set(asked) <= {"dtype"}  # diffusers' own UNet asks once, for the embedding of its timesteps
    assert len(asked) <= 1


@pytest.mark.parametrize(("dtype", "autocasts"), [(torch.bfloat16, False), (torch.float32, True)])
def test_a_denoiser_in_bfloat16_computes_without_autocast(dtype, autocasts):
    pipe, seen = still_pipeline(), []
    pipe.to(dtype)
    pipe.audio_embedder.float()
    objective = objective_of(pipe)
    pipe.unet.register_forward_pre_hook(lambda *_: seen.append(torch.is_autocast_enabled("cpu")))
    pipe.audio_embedder.register_forward_pre_hook(lambda *_: seen.append(torch.is_autocast_enabled("cpu")))
    with torch.autocast("cpu", torch.bfloat16):
        terms = step_of(objective)
        assert seen == [True, autocasts]
        objective.autocasts = True
        before = step_of(objective)
    for name, term in terms.items():
        assert term.item() == pytest.approx(before[name].item(), rel=2e-2), name


def test_checkpointing_by_need_begins_at_the_step_that_does_not_fit(monkeypatch):
    def fail_without_checkpointing(module, args):
        calls.append(module.is_gradient_checkpointing)
        if len(calls) > 1 and not module.is_gradient_checkpointing:
            raise torch.OutOfMemoryError("by this test")

    want, reports = trained(SETTINGS)
    pipe, calls = still_pipeline(), []
    pipe.unet.register_forward_pre_hook(fail_without_checkpointing)
    settings = Settings(steps=4, learning_rate=1e-2, gradient_checkpointing="auto")
    weights, again = trained(settings, pipe)
    assert calls == [False, False, True, True, True] and not pipe.unet.is_gradient_checkpointing
    assert [each.step for each in again] == [each.step for each in reports]
    for name, weight in want.items():
        torch.testing.assert_close(weights[name], weight)


def test_what_does_not_fit_with_checkpointing_is_an_error():
    def fail(module, args):
        raise torch.OutOfMemoryError("by this test")

    pipe = still_pipeline()
    pipe.unet.register_forward_pre_hook(fail)
    with pytest.raises(torch.OutOfMemoryError):
        trained(Settings(steps=1, gradient_checkpointing="auto"), pipe)
    with pytest.raises(ValueError, match='expected true, false or "auto"'):
        Settings(steps=1, gradient_checkpointing="often")


@pytest.mark.parametrize(("kind", "fused"), [("cuda", True), ("cpu", None)])
def test_one_kernel_updates_all_weights_of_a_gpu(monkeypatch, kind, fused):
    seen = {}
    monkeypatch.setattr(learning.torch.optim, "AdamW", lambda weights, rate, **options: seen.update(options))
    embedder = SimpleNamespace(parameters=lambda: [SimpleNamespace(device=torch.device(kind))])
    embedder.requires_grad_ = lambda wanted: embedder
    Learner.create(SimpleNamespace(audio_embedder=embedder), Settings(steps=1))
    assert seen["fused"] is fused


class FakeTensor:
    """One on the CPU that remembers where it went."""

    device = torch.device("cpu")

    def __init__(self, pinned: bool = False):
        self.pinned, self.went = pinned, []

    def is_pinned(self):
        return self.pinned

    def pin_memory(self):
        return FakeTensor(True)

    def to(self, device, non_blocking=False):
        return device, self.pinned, non_blocking


@pytest.mark.parametrize("pinned", [False, True])
def test_what_goes_to_a_gpu_goes_through_pinned_memory(pinned):
    gpu = torch.device("cuda", 0)
    assert transfer.send(FakeTensor(pinned), gpu) == (gpu, True, True)
    assert transfer.send(FakeTensor(), torch.device("cpu")) == (torch.device("cpu"), False, False)


def test_batches_are_pinned_ahead_if_asked(monkeypatch):
    pinned = []
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda tensor: pinned.append(tensor.shape) or tensor)
    monkeypatch.setattr(torch.Tensor, "is_pinned", lambda tensor: False)

    class Examples:
        names, scaling_factor = ("dog",), 1.0

        def __len__(self):
            return 3

        def load(self, indices, variant=0):
            rows = len(indices)
            return Encoded(torch.zeros(rows, 8, 2, 2), torch.zeros(rows, 5, 7), torch.zeros(rows, dtype=torch.int64))

    plain = next(Batches(Examples(), 2, prefetch=0)(0))
    assert not pinned
    batch = next(Batches(Examples(), 2, prefetch=0, pinned=True)(0))
    assert pinned == [(2, 4, 2, 2), (2, 5, 7), (2,)]
    assert torch.equal(batch.latents, plain.latents)


def test_an_accelerator_of_several_processes_cannot_checkpoint_by_need(monkeypatch):
    accelerator = Accelerator(cpu=True)
    monkeypatch.setattr(type(accelerator), "num_processes", property(lambda self: 2))
    with pytest.raises(ValueError, match="several processes"):
        trained(Settings(steps=1, gradient_checkpointing="auto"), accelerator=accelerator)

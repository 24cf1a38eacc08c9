"""Loss terms against numbers worked out by hand; only the embedder learns; a resumed run is the uninterrupted one."""

import math
from dataclasses import replace
from types import SimpleNamespace

import jaxtyping
import pytest
import torch
from diffusers import DDPMScheduler
from torch import nn

from audiotoken.checkpoint import write_checkpoint
from audiotoken.debug import debug_pipeline
from audiotoken.errors import CheckpointError
from audiotoken.losses import classification_loss, diffusion_loss, label_embeddings, token_l1
from audiotoken.training import Batch, LossWeights, Settings, train_embedder

LABELS, WIDTH = ("dog", "bell", "rain"), 24  # of the debug pipeline


def batches(start: int):
    """Three kinds of features, each with its own direction, and noise; the same for a step whenever it is asked for."""
    directions = torch.randn(len(LABELS), WIDTH, generator=torch.Generator().manual_seed(9))
    for step in range(start, 10_000):
        generator = torch.Generator().manual_seed(step)
        labels = torch.randint(len(LABELS), (4,), generator=generator)
        noise = torch.randn(4, 5, WIDTH, generator=generator)
        yield Batch(torch.randn(4, 8, 4, 4, generator=generator), directions[labels, None] + 0.1 * noise, labels)


def weights_of(pipe) -> dict[str, torch.Tensor]:
    parts = ("vae", "text_encoder", "unet", "audio_encoder", "audio_embedder")
    return {f"{p}.{name}": w.clone() for p in parts for name, w in getattr(pipe, p).state_dict().items()}


class FlatUNet(nn.Module):
    """Predicts `value` everywhere and remembers what it was given."""

    def __init__(self, value: float):
        super().__init__()
        self.value = value

    def forward(self, noisy, timesteps, embeddings):
        self.noisy = noisy
        return SimpleNamespace(sample=torch.full_like(noisy, self.value))


@pytest.mark.parametrize(("kind", "target"), [("epsilon", 2.0), ("v_prediction", None)])
def test_diffusion_loss_by_hand(kind, target):
    """Latents of 3, noise of 2, a denoiser that says 0.5 everywhere."""
    scheduler = DDPMScheduler(prediction_type=kind)
    kept = scheduler.alphas_cumprod[250].item()
    if target is None:
        target = math.sqrt(kept) * 2 - math.sqrt(1 - kept) * 3
    unet, size = FlatUNet(0.5), (1, 1, 2, 2)
    latents, noise = 3 * torch.ones(size), 2 * torch.ones(size)
    args = (unet, scheduler, latents, torch.zeros(1, 1, 1), noise, torch.tensor([250]))
    assert diffusion_loss(*args).item() == pytest.approx((target - 0.5) ** 2, rel=1e-5)
    assert unet.noisy.mean().item() == pytest.approx(math.sqrt(kept) * 3 + math.sqrt(1 - kept) * 2, rel=1e-5)
    weight = torch.tensor([[[[0.0, 1.0], [2.0, 5.0]]]])
    assert diffusion_loss(*args, weight).item() == pytest.approx(2 * (target - 0.5) ** 2, rel=1e-5)


def test_diffusion_loss_refuses_other_schedulers():
    scheduler = DDPMScheduler(prediction_type="sample")
    one = torch.ones(1, 1, 2, 2)
    with pytest.raises(ValueError, match="predicts 'sample'"):
        diffusion_loss(FlatUNet(0), scheduler, one, torch.zeros(1, 1, 1), one, torch.tensor([1]))


def test_classification_loss_by_hand():
    """Cosines 0.6 and 0.8 to two labels; lengths do not matter, a clip's tokens are averaged, and so is the batch."""
    names = torch.tensor([[3.0, 0.0], [0.0, 0.1]])
    tokens = torch.tensor([[[6.0, 16.0], [6.0, 0.0]]])
    for label, own in ((0, 0.6), (1, 0.8)):
        want = (1 - own) ** 2
        assert classification_loss(tokens, torch.tensor([label]), names).item() == pytest.approx(want, rel=1e-5)
    both = classification_loss(tokens.expand(2, 2, 2), torch.tensor([0, 1]), names)
    assert both.item() == pytest.approx(0.3**2, rel=1e-5)


def test_token_l1_by_hand():
    assert token_l1(torch.tensor([[[1.0, -3.0]], [[0.0, 2.0]]])).item() == 1.5


def test_shapes_on_the_line_are_checked_while_testing():
    with pytest.raises(jaxtyping.TypeCheckError):
        token_l1(torch.zeros(2, 3))


def test_labels_are_the_mean_of_their_words():
    pipe = debug_pipeline()
    table = pipe.text_encoder.get_input_embeddings().weight
    d, o, g = pipe.tokenizer("dog", add_special_tokens=False).input_ids
    names = label_embeddings(["photo", "dog", "photo_dog"], pipe.tokenizer, pipe.text_encoder)
    photo = table[pipe.tokenizer("photo", add_special_tokens=False).input_ids].mean(0)
    torch.testing.assert_close(names[1], (table[d] + table[o] + table[g]) / 3)
    torch.testing.assert_close(names[2], (photo + table[d] + table[o] + table[g]) / 4)
    with pytest.raises(ValueError, match="no words"):
        label_embeddings(["dog", ""], pipe.tokenizer, pipe.text_encoder)


def test_training_lowers_the_losses_and_changes_only_the_embedder():
    pipe, reports = debug_pipeline(), []
    before = weights_of(pipe)
    settings = Settings(steps=40, learning_rate=3e-3, weights=LossWeights(classification=1.0))
    embedder = train_embedder(pipe, batches, LABELS, settings, on_progress=reports.append)
    changed = {name for name, weight in weights_of(pipe).items() if not torch.equal(weight, before[name])}
    assert changed
    assert all(name.startswith("audio_embedder.") for name in changed)
    assert [report.step for report in reports] == list(range(1, 41))
    assert all(report.images_per_second > 0 for report in reports)
    assert reports[0].losses["classification"] > 0.8
    assert sum(report.losses["classification"] for report in reports[-10:]) / 10 < 0.3
    for losses in (reports[0].losses, reports[-1].losses):
        want = losses["diffusion"] + losses["classification"] + 0.01 * losses["token_l1"]
        assert losses["total"] == pytest.approx(want, rel=1e-5)
    assert embedder is pipe.audio_embedder
    assert not embedder.training
    assert all(weight.requires_grad for weight in (*pipe.unet.parameters(), *pipe.text_encoder.parameters()))
    assert all(weight.grad is None for weight in (*pipe.unet.parameters(), *pipe.text_encoder.parameters()))


def test_the_picture_alone_teaches_the_embedder():
    """Gradients reach it through UNet and text encoder, in the wanted texts and with a weight per pixel."""
    pipe = debug_pipeline()
    before = weights_of(pipe)
    texts = ["<audio>", "a photo of <audio>", "a dog and <audio> in the snow", "<audio>!"]
    batch = replace(next(batches(0)), texts=texts, weight=torch.rand(4, 1, 4, 4))
    settings = Settings(steps=1, weights=LossWeights(classification=0, token_l1=0))
    train_embedder(pipe, lambda start: [batch], LABELS, settings)
    assert not torch.equal(weights_of(pipe)["audio_embedder.output.weight"], before["audio_embedder.output.weight"])


@pytest.mark.parametrize("ema", [None, 0.9])
def test_resumed_equals_uninterrupted(tmp_path, ema):
    settings = Settings(steps=7, learning_rate=1e-2, ema=ema, save_every=2)
    whole, parted = debug_pipeline(), debug_pipeline()
    reports = {"whole": [], "parted": []}
    train_embedder(whole, batches, LABELS, settings, on_progress=reports["whole"].append)

    class Killed(Exception):
        pass

    def kill(progress):
        if progress.step == 5:  # saved at 4
            raise Killed

    with pytest.raises(Killed):
        train_embedder(parted, batches, LABELS, settings, checkpoint=tmp_path / "run.pt", on_progress=kill)
    torch.manual_seed(123)  # another process has another random state
    parted = debug_pipeline(seed=1)  # and other weights, were they not in the checkpoint
    for name in ("unet", "text_encoder"):
        getattr(parted, name).load_state_dict(getattr(whole, name).state_dict())
    train_embedder(
        parted, batches, LABELS, settings, checkpoint=tmp_path / "run.pt", on_progress=reports["parted"].append
    )
    assert [report.step for report in reports["parted"]] == [5, 6, 7]
    assert [report.losses for report in reports["parted"]] == [report.losses for report in reports["whole"][4:]]
    for name, weight in whole.audio_embedder.state_dict().items():
        assert torch.equal(weight, parted.audio_embedder.state_dict()[name]), name


def test_ema_comes_out_and_training_goes_on_from_the_raw_weights(tmp_path):
    raw, mean = debug_pipeline(), debug_pipeline()
    train_embedder(raw, batches, LABELS, Settings(steps=5, learning_rate=1e-2))
    train_embedder(
        mean, batches, LABELS, Settings(steps=5, learning_rate=1e-2, ema=0.5), checkpoint=tmp_path / "run.pt"
    )
    state = torch.load(tmp_path / "run.pt", weights_only=True)
    for name, weight in raw.audio_embedder.state_dict().items():
        assert torch.equal(weight, state["embedder"][name]), name
    assert not torch.equal(raw.audio_embedder.output.weight, mean.audio_embedder.output.weight)


def test_the_callers_random_state_is_left_alone():
    torch.manual_seed(5)
    want = torch.rand(3)
    torch.manual_seed(5)
    train_embedder(debug_pipeline(), batches, LABELS, Settings(steps=2))
    assert torch.equal(torch.rand(3), want)


def test_seeds_matter_and_repeat():
    runs = []
    for seed in (0, 0, 1):
        pipe, losses = debug_pipeline(), []
        train_embedder(pipe, batches, LABELS, Settings(steps=2, seed=seed), on_progress=losses.append)
        runs.append([report.losses for report in losses])
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]


def test_batches_may_end_early(tmp_path):
    train_embedder(
        debug_pipeline(), lambda start: [next(batches(0))], LABELS, Settings(steps=9), checkpoint=tmp_path / "run.pt"
    )
    assert torch.load(tmp_path / "run.pt", weights_only=True)["step"] == 1


def test_others_may_read_a_checkpoint(tmp_path):
    (tmp_path / "plain").touch()
    write_checkpoint({"step": 1}, tmp_path / "run.pt")
    assert (tmp_path / "run.pt").stat().st_mode == (tmp_path / "plain").stat().st_mode
    assert len(list(tmp_path.iterdir())) == 2


def test_a_crash_while_writing_leaves_the_old_checkpoint(tmp_path, monkeypatch):
    write_checkpoint({"step": 1}, tmp_path / "run.pt")

    def full_disk(values, file):
        file.write(b"half of it")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full_disk)
    with pytest.raises(OSError, match="No space"):
        write_checkpoint({"step": 2}, tmp_path / "run.pt")
    assert torch.load(tmp_path / "run.pt", weights_only=True) == {"step": 1}
    assert [file.name for file in tmp_path.iterdir()] == ["run.pt"]


def test_refuses_the_checkpoint_of_another_run(tmp_path):
    train_embedder(debug_pipeline(), batches, LABELS, Settings(steps=1), checkpoint=tmp_path / "run.pt")
    with pytest.raises(CheckpointError, match="made with seed=0, now it is 3"):
        train_embedder(debug_pipeline(), batches, LABELS, Settings(steps=2, seed=3), checkpoint=tmp_path / "run.pt")
    (tmp_path / "run.pt").write_bytes(b"something else")
    with pytest.raises(CheckpointError, match="not a torch file"):
        train_embedder(debug_pipeline(), batches, LABELS, Settings(steps=2), checkpoint=tmp_path / "run.pt")


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"labels": torch.tensor([0, 1, 2, 3])}, "expected 0 to 2"),
        ({"labels": torch.tensor([0, 1, 2, -1])}, "expected 0 to 2"),
        ({"labels": torch.tensor([0, 1])}, "one of each per image"),
        ({"texts": ["<audio>"]}, "one of each per image"),
        ({"features": torch.full((4, 5, WIDTH), torch.nan)}, "loss is nan at step 1"),
    ],
)
def test_refuses_what_does_not_belong_together(change, match):
    batch = replace(next(batches(0)), **change)
    with pytest.raises((ValueError, FloatingPointError), match=match):
        train_embedder(debug_pipeline(), lambda start: [batch], LABELS, Settings(steps=1))

"""Train a small CLIP of the painted world: pictures and captions in one space, for metrics without a download.

    python -m experiments.world.training.train_clip --out runs/mini/clip400 --steps 400
    python -m experiments.world.training.train_clip --start runs/mini/clip400 --out runs/mini/clip --steps 2500

A stopped training goes on from its last checkpoint, `OUT.pt`. A start may know other words: the embeddings of those
that both tokenizers have are taken over.

The folder layout is that of transformers' CLIPModel, so the same code reads "openai/clip-vit-base-patch32". It learns
only from composed scenes with seeds of its own, never from pictures drawn by the mini checkpoint, and only the small
Wav2CLIP is trained on it. A caption that names some of the things in a scene fits it, so a picture has several correct
captions in a batch (contrastive loss with many positives, Khosla et al. 2020). At first, each patch is also supervised
with its content, which saves most of the training time of a vision transformer.
"""

import argparse
import random
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from audiotoken.clip import load_clip
from audiotoken.mini.object_detector import SIDE
from audiotoken.mini.things import BACKDROPS, WORDS
from experiments.world.captions import LENGTH, PLACES, build_tokenizer, write_caption
from experiments.world.scenes import Painter, Scenes
from experiments.world.training import checkpoints, workers
from experiments.world.training.detector import degrade_images
from experiments.world.training.workers import Ema, Log, Worker

if TYPE_CHECKING:
    from transformers import CLIPModel, CLIPTokenizer

FIRST_SEED = 900_000_000  # different from the seeds of the checkpoint and of its detector
HELD_OUT = FIRST_SEED - 1_000  # seeds for the evaluation
WIDTH, PATCH, PROJECTION = 128, 16, 64
BACKGROUND = len(WORDS)
EMBEDDING = "text_model.embeddings.token_embedding.weight"
SAVE_EVERY = 25  # steps
PARTLY = 0.3  # share of captions of several things that leave some out


def build_clip(tokenizer: "CLIPTokenizer") -> "CLIPModel":
    """1.4 M parameters: a ViT of 4 layers on 8 x 8 patches and a text model of 2 layers."""
    from transformers import CLIPConfig, CLIPModel

    layer = {"hidden_size": WIDTH, "intermediate_size": 4 * WIDTH, "num_attention_heads": 4}
    text = layer | {"num_hidden_layers": 2, "vocab_size": len(tokenizer), "max_position_embeddings": LENGTH}
    text |= {name: getattr(tokenizer, name) for name in ("bos_token_id", "eos_token_id", "pad_token_id")}
    vision = layer | {"num_hidden_layers": 4, "image_size": SIDE, "patch_size": PATCH}
    both = {"projection_dim": PROJECTION}
    return CLIPModel(CLIPConfig(text_config=text | both, vision_config=vision | both, **both))


def copy_weights(clip: "CLIPModel", tokenizer: "CLIPTokenizer", folder: Path) -> None:
    """Copy the weights of the CLIP in `folder`, and its token embeddings by token: the tokenizers may differ."""
    old = load_clip(folder)
    weights = {name: value for name, value in old.model.state_dict().items() if name != EMBEDDING}
    clip.load_state_dict(weights, strict=False)
    before, after = old.tokenizer.get_vocab(), tokenizer.get_vocab()
    shared = [(after[token], before[token]) for token in after if token in before]
    own, other = clip.get_parameter(EMBEDDING), old.model.get_parameter(EMBEDDING)
    with torch.no_grad():
        own[[new for new, _ in shared]] = other[[at for _, at in shared]]


def write_captions(scenes: Scenes, rng: random.Random) -> tuple[list[str], Tensor]:
    """A caption for each scene, and which scenes fit which captions: (batch, batch) bool, [scene, caption]."""
    texts, named, placed = [], [], []
    for kinds, backdrop in zip(scenes.kinds.tolist(), scenes.backdrops.tolist(), strict=True):
        there = [kind for kind in kinds if kind >= 0]
        if len(there) > 1 and rng.random() < PARTLY:
            there = rng.sample(there, rng.randint(1, len(there) - 1))
        texts.append(write_caption(there, backdrop, rng))
        named.append(F.one_hot(torch.tensor(there), BACKGROUND).amax(0))
        said = any(texts[-1].endswith(phrase) for phrase in PLACES[BACKDROPS[backdrop]])
        placed.append(backdrop if said else -1)
    holds = F.one_hot(scenes.kinds.cpu() % (BACKGROUND + 1), BACKGROUND + 1).amax(1)[
        :, :BACKGROUND
    ]  # -1 maps to the last column
    lacking = (1 - holds).float() @ torch.stack(named).float().T  # things that the caption names but the scene lacks
    place = torch.tensor(placed)
    return texts, (lacking == 0) & ((place < 0) | (place == scenes.backdrops.cpu()[:, None]))


def compute_contrastive_loss(pictures: Tensor, texts: Tensor, fits: Tensor, scale: Tensor) -> Tensor:
    """Cross-entropy in both directions; the correct answers of a row share its weight. Embeddings have length 1."""
    scores, right = scale.exp().clamp(max=100) * pictures @ texts.T, fits.float()
    rows = F.cross_entropy(scores, right / right.sum(1, keepdim=True))
    return (rows + F.cross_entropy(scores.T, (right / right.sum(0)).T)) / 2


def compute_patch_loss(hidden: Tensor, head: nn.Module, scenes: Scenes, kept: Tensor) -> Tensor:
    """Cross-entropy of the content of the `kept` 8 x 8 patches: the thing that covers most of a patch, or nothing."""
    side = SIDE // PATCH
    cover, slot = F.adaptive_avg_pool2d(scenes.masks, side).max(1)
    kind = scenes.kinds.gather(1, slot.flatten(1)).view_as(slot)
    truth = torch.where(cover > 0.33, kind, BACKGROUND).flatten(1)[:, kept]
    weight = torch.ones(BACKGROUND + 1, device=hidden.device)
    weight[BACKGROUND] = 0.3
    return F.cross_entropy(head(hidden[:, 1:]).float().transpose(1, 2), truth, weight)


def encode_patches(vision: Any, pixels: Tensor, kept: Tensor) -> Tensor:
    """The last layer of the vision model on some of the patches, which halves the work, as in FLIP (Li et al. 2023)."""
    hidden = vision.embeddings(pixels)
    hidden = torch.cat([hidden[:, :1], hidden[:, 1 + kept]], 1)
    return vision.encoder(inputs_embeds=vision.pre_layrnorm(hidden)).last_hidden_state


class ScenePool:
    """The most recent scenes, mirrored at random and reused because painting takes longer than a training step."""

    def __init__(self, painter: Painter, size: int = 1024, fresh: float = 0.25):
        self.painter, self.size, self.fresh = painter, size, fresh
        self.scenes: Scenes | None = None

    def draw(self, count: int, seed: int) -> Scenes:
        """Draw `count` scenes from the pool, after adding a share `fresh` of new ones."""
        new = self.painter.paint(count if self.scenes is None else round(count * self.fresh), seed)
        parts = [new] if self.scenes is None else [new, self.scenes]
        names = ("images", "masks", "kinds", "backdrops")
        self.scenes = Scenes(*(torch.cat([getattr(part, name) for part in parts])[: self.size] for name in names))
        generator = torch.Generator().manual_seed(seed)
        chosen = torch.randperm(len(self.scenes.kinds), generator=generator)[:count]
        scenes = Scenes(*(getattr(self.scenes, name)[chosen] for name in names))
        turn = (torch.rand(count, generator=generator) < 0.5).view(-1, 1, 1, 1).to(scenes.images.device)
        images, masks = (torch.where(turn, x.flip(3), x) for x in (scenes.images, scenes.masks))
        return Scenes(images, masks, scenes.kinds, scenes.backdrops)


def normalise(images: Tensor) -> Tensor:
    """Pictures in [-1, 1], normalised like the output of the image processor."""
    from transformers.image_utils import OPENAI_CLIP_MEAN, OPENAI_CLIP_STD

    mean, std = (images.new_tensor(v).view(3, 1, 1) for v in (OPENAI_CLIP_MEAN, OPENAI_CLIP_STD))
    return ((images + 1) / 2 - mean) / std


def train(worker: Worker, atlas: Path, out: Path, steps: int, batch: int, lr: float, start: Path | None) -> None:
    torch.manual_seed(2)
    tokenizer, painter = build_tokenizer(), Painter(atlas, worker.device, mirrored=0.5)
    clip = build_clip(tokenizer)
    if start is not None:
        copy_weights(clip, tokenizer, start)
    clip.set_attn_implementation("eager")
    model = nn.ModuleDict({"clip": clip, "patches": nn.Linear(WIDTH, BACKGROUND + 1)}).to(worker.device).train()
    optimisers = workers.make_optimisers(model, lr, worker, dtype=torch.float32)
    pool = ScenePool(painter)
    ema, log, path = Ema(model, 0.99), Log(steps, 25, not worker.first), out.with_suffix(".pt")
    state = checkpoints.resume(path, model, [ema], optimisers)
    for step in range(state["step"] if state else 0, steps):
        workers.set_learning_rate(optimisers, lr * min(1, (step + 1) / 30, (steps - step) / (0.7 * steps)))
        seed = FIRST_SEED + 1_000_000 * (start is not None) + step * worker.count + worker.rank
        scenes = pool.draw(batch, seed)
        texts, fits = write_captions(scenes, random.Random(seed))
        tokens = tokenizer(texts, padding=True, return_tensors="pt").to(worker.device)
        pixels = normalise(degrade_images(scenes.images, torch.Generator().manual_seed(seed)))
        patches = torch.randperm((SIDE // PATCH) ** 2, generator=torch.Generator().manual_seed(seed))
        kept = patches[: len(patches) // (2 if step < 0.9 * steps else 1)].to(worker.device)
        seen = encode_patches(clip.vision_model, pixels, kept)
        pooled = clip.vision_model.post_layernorm(seen[:, 0])
        pictures = F.normalize(clip.visual_projection(pooled), dim=1)
        words = F.normalize(clip.text_projection(clip.text_model(**tokens).pooler_output), dim=1)
        loss = compute_contrastive_loss(pictures, words, fits.to(worker.device), clip.logit_scale)
        shown = compute_patch_loss(seen, model["patches"], scenes, kept)
        (loss + max(0.1, 1 - 2 * step / steps) * shown).backward()
        worker.average_gradients(model.parameters())
        for optimiser in optimisers:
            optimiser.step()
            optimiser.zero_grad()
        ema.update(model)
        log(step, batch * worker.count, contrastive=loss, patches=shown)
        if worker.first and ((step + 1) % SAVE_EVERY == 0 or step + 1 == steps):
            checkpoints.save(path, step + 1, model, [ema], optimisers)
    if worker.first:
        save_clip({n.removeprefix("clip."): w for n, w in ema.weights.items() if n.startswith("clip.")}, tokenizer, out)
        print(
            f"zero-shot: {100 * measure_zero_shot(load_clip(out), painter):.1f} % of 480 unseen scenes with one thing"
        )


def save_clip(weights: dict[str, Tensor], tokenizer: "CLIPTokenizer", out: Path) -> None:
    """Save a folder for CLIPModel, CLIPTokenizer and CLIPImageProcessor, in half precision."""
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    clip = build_clip(tokenizer)
    clip.load_state_dict(weights)
    clip.half().save_pretrained(out)
    tokenizer.save_pretrained(out)
    side = {"height": SIDE, "width": SIDE}
    CLIPImageProcessorPil(size={"shortest_edge": SIDE}, crop_size=side).save_pretrained(out)


@torch.no_grad()
def measure_zero_shot(clip: Any, painter: Painter, count: int = 480) -> float:
    """Share of unseen scenes with one thing whose nearest of 24 captions "a photo of a WORD" is correct."""
    scenes = painter.paint(count, HELD_OUT, counts=(1.0, 0, 0, 0))
    nearest = (clip.embed_images(to_pictures(scenes.images)) @ clip.embed_classes(WORDS).T).argmax(1)
    return float((nearest == scenes.kinds[:, 0].cpu().numpy()).mean())


def to_pictures(images: Tensor) -> list[Any]:
    """(batch, 3, h, w) in [-1, 1] -> PIL pictures."""
    from PIL import Image

    arrays = ((images + 1) * 127.5).round().byte().permute(0, 2, 3, 1).cpu().numpy()
    return [Image.fromarray(array) for array in arrays]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--atlas", type=Path, default=Path("runs/art/atlas.safetensors"))
    parser.add_argument("--out", type=Path, default=Path("runs/mini/clip"))
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--batch", type=int, default=64, help="scenes per worker and step")
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--start", type=Path, default=None, help="folder of a CLIP to start from, on other scenes")
    parser.add_argument("--workers", type=int, default=None, help="default: one per GPU, or per core")
    args = parser.parse_args()
    workers.run_workers(train, args.atlas, args.out, args.steps, args.batch, args.lr, args.start, workers=args.workers)


if __name__ == "__main__":
    main()

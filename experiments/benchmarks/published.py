"""The published trainer's step, re-enacted with our modules to compare it with ours in `experiments.bench`.

The published repository (guyyariv/AudioToken, train.py and modules/AudioToken/AudioToken.py) does the following. One
wrapper module holds UNet, VAE, text encoder, BEATs and embedder. It is cast as a whole to the weight dtype, so in
bfloat16 the embedder and its Adam state are bfloat16 as well. All parts except the embedder have requires_grad off and
are in evaluation mode. Every step encodes the pictures with the VAE and the clips with BEATs, embeds the clips, runs
the text encoder and the UNet, adds 0.01 times the mean absolute token to the loss, backpropagates and steps AdamW.
Gradients are not clipped. There is no autocast, because the parts are called directly and not through the wrapper that
accelerate prepared. The defaults are batches of 4 and clips of 5 s; TF32 is as PyTorch sets it. There is no activation
checkpointing and no compilation.

The differences here favour the published trainer: attention is PyTorch's fused one everywhere (its BEATs and its copy
of CLIP have their own), token ids are ready, and pictures and clips are in memory. Its pictures are squeezed to
512 x 320; here all are square. In bfloat16 the published code fails: it also casts the waveform, and the spectrogram
cannot be computed in bfloat16 (torchaudio's kaldi.fbank: "Unsupported dtype BFloat16"). Here the spectrogram stays in
float32 and the rest runs in bfloat16.
"""

import torch
from diffusers import DDPMScheduler
from torch import Tensor, nn
from torch.nn import functional as F

from audiotoken.placeholder import TEMPLATE
from audiotoken.prompt import inject, tokenize_prompt
from audiotoken.protocols import TrainablePipeline

RATE_PER_PICTURE = 1e-5  # learning rate for each picture of a batch
L1 = 0.01


class Published(nn.Module):
    """All parts in one module; `step(pixels, waveform)` takes a training step of the embedder and returns the loss."""

    def __init__(self, pipe: TrainablePipeline, dtype: torch.dtype, batch: int):
        super().__init__()
        self.unet, self.vae, self.text_encoder = pipe.unet, pipe.vae, pipe.text_encoder
        self.audio_encoder, self.embedder = pipe.audio_encoder, pipe.audio_embedder
        self.scheduler = DDPMScheduler.from_config(pipe.scheduler.config)
        self.to(dtype).eval().requires_grad_(False)
        self.embedder.requires_grad_(True).train()
        self.dtype, self.device = dtype, pipe.unet.device
        self.optimizer = torch.optim.AdamW(self.embedder.parameters(), RATE_PER_PICTURE * batch, weight_decay=0.01)
        ids, positions = tokenize_prompt(TEMPLATE, pipe.tokenizer)
        self.ids, self.positions = torch.tensor([ids] * batch, device=self.device), [positions] * batch

    def step(self, pixels: Tensor, waveform: Tensor) -> float:
        """One step on pictures (batch, 3, size, size) in [-1, 1] and clips (batch, frames), float32 in memory."""
        latents = self.vae.encode(pixels.to(self.device, self.dtype)).latent_dist.sample().detach()
        latents = latents * self.vae.config.scaling_factor
        noise = torch.randn_like(latents)
        levels = self.scheduler.config.num_train_timesteps
        timesteps = torch.randint(0, levels, (len(latents),), device=self.device)
        noisy = self.scheduler.add_noise(latents, noise, timesteps)
        token = self.embedder(self.audio_encoder.features(waveform.to(self.device)).to(self.dtype))
        with inject(self.text_encoder, self.positions, list(token.flatten(0, 1))):
            states = self.text_encoder(self.ids)[0].to(self.dtype)
        predicted = self.unet(noisy, timesteps, states).sample
        velocity = self.scheduler.config.prediction_type == "v_prediction"
        target = self.scheduler.get_velocity(latents, noise, timesteps) if velocity else noise
        loss = F.mse_loss(predicted.float(), target.float()) + L1 * token.abs().mean()
        loss.backward()
        self.optimizer.step()
        self.optimizer.zero_grad()
        return loss.item()

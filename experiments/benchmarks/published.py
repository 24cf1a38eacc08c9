"""The published trainer's step, acted again with our parts, to stand beside ours in `experiments.bench`.

What is acted, as read in the published repository (guyyariv/AudioToken, train.py and modules/AudioToken/AudioToken.py):
one wrapper module holds UNet, VAE, text encoder, BEATs and embedder and is cast as a whole to the weight dtype, so that
in bfloat16 the embedder and its Adam state are bfloat16 as well. All but the embedder have requires_grad off and are
in evaluation mode. Every step encodes the pictures with the VAE, hears the clips with BEATs, embeds them, runs the text
encoder and the UNet, adds 0.01 times the mean absolute token, goes back, and steps AdamW; gradients are not clipped.
There is no autocast: the parts are called past the wrapper that accelerate prepared. Batches of 4 and clips of 5 s are
its defaults, TF32 is as PyTorch has it. It has no activation checkpointing and does not compile.

What differs, in its favour: attention is PyTorch's fused one everywhere (its BEATs and its copy of CLIP have their
own), token ids are ready, pictures and clips are in memory. Its pictures are 512 x 320, squeezed; here all are square.
In bfloat16 the published code stops: it casts the waveform as well, and the spectrogram cannot be computed in it
(torchaudio's kaldi.fbank: "Unsupported dtype BFloat16"). Here the spectrogram is float32 and the rest goes on.
"""

import torch
from diffusers import DDPMScheduler
from torch import Tensor, nn
from torch.nn import functional as F

from audiotoken.placeholder import TEMPLATE
from audiotoken.prompt import inject, tokenize_prompt
from audiotoken.protocols import TrainablePipeline

RATE_PER_PICTURE = 1e-5  # learning rate
L1 = 0.01


class Published(nn.Module):
    """Everything in one module; `step(pixels, waveform)` trains the embedder once and returns the loss."""

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
        """Pictures (batch, 3, size, size) in [-1, 1] and clips (batch, frames), float32 in memory."""
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

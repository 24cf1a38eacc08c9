"""How noisy latents are at a step, whatever the scheduler scales them by and remembers."""

from dataclasses import dataclass
from typing import Any

from guidance.errors import GuidanceError


@dataclass(frozen=True)
class Level:
    """One call of the denoiser. Latents are `latent_scale` times those of unit variance; sigma is noise over signal."""

    step: int
    count: int  # of steps
    timestep: Any
    sigma: float
    latent_scale: float
    editable: bool  # latents may be moved here: the scheduler does not remember those it was given before

    @property
    def noise(self) -> float:
        """1 - alpha_bar: the share of noise in the variance of the latents, in [0, 1]."""
        return self.sigma**2 / (1 + self.sigma**2)


def level(scheduler: Any, step: int, timestep: Any = None) -> Level:
    """How noisy the latents are before this step; after the last there is no noise. By default the timestep is its own.

    Euler, Heun and their kin keep latents of variance 1 + sigma^2; DDIM, DPM++ and PNDM those of unit variance.
    """
    count = len(scheduler.timesteps)
    if step >= count:
        return Level(step, count, 0, 0.0, 1.0, False)
    if not hasattr(scheduler, "alphas_cumprod"):
        raise GuidanceError(
            f"Got a {type(scheduler).__name__}, whose noise levels are no alphas, so that it is not known how far to "
            "move; use DDIM, Euler, DPM++ or PNDM, or draw without regions."
        )
    timestep = scheduler.timesteps[step] if timestep is None else timestep
    alphas = scheduler.alphas_cumprod
    at = min(max(float(timestep), 0.0), len(alphas) - 1.0)
    low, part = int(at), at - int(at)
    high = min(low + 1, len(alphas) - 1)  # Karras' timesteps are between two
    sigmas = [((1 - a) / max(a, 1e-6)) ** 0.5 for a in (float(alphas[low]), float(alphas[high]))]
    sigma = sigmas[0] ** (1 - part) * sigmas[1] ** part
    stretched = float(scheduler.init_noise_sigma) > 1.5
    return Level(step, count, timestep, sigma, (1 + sigma**2) ** 0.5 if stretched else 1.0, not _midway(scheduler))


def _midway(scheduler: Any) -> bool:
    """Between calls that make one step: the scheduler goes on from latents that it was given before, not from these."""
    if getattr(scheduler, "state_in_first_order", True) is False:  # Heun, KDPM2: in the second half of a step
        return True
    if not hasattr(scheduler, "prk_timesteps"):
        return False
    if scheduler.counter < len(scheduler.prk_timesteps) and not scheduler.config.skip_prk_steps:  # PNDM: Runge-Kutta
        return scheduler.counter % 4 != 0
    return scheduler.config.skip_prk_steps and scheduler.counter == 1  # its first linear step is taken twice

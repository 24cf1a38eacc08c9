"""How noisy latents are at a step, for any scheduler: how it scales them and what it remembers of earlier steps."""

from dataclasses import dataclass

from torch import Tensor

from guidance.errors import GuidanceError
from guidance.interfaces import SchedulerMixin


@dataclass(frozen=True)
class NoiseLevel:
    """The noise before one call of the denoiser."""

    step: int
    num_steps: int
    timestep: Tensor | float
    sigma: float  # standard deviation of the noise over that of the signal
    latent_scale: float  # latents are this many times those of unit variance
    editable: bool  # latents may be changed here: the scheduler does not continue from those of an earlier call

    @property
    def noise_variance(self) -> float:
        """1 - alpha_bar: the share of noise in the variance of the latents, in [0, 1]."""
        return self.sigma**2 / (1 + self.sigma**2)


def get_noise_level(scheduler: SchedulerMixin, step: int, timestep: Tensor | float | None = None) -> NoiseLevel:
    """How noisy the latents are before this step; after the last step there is no noise.

    timestep: as the denoiser reads it, on its device; the scheduler's own for this step by default. Nothing is read of
    it, so that nothing waits for a GPU: the scheduler's timesteps are on the CPU. Euler, Heun and related schedulers
    keep latents of variance 1 + sigma^2; DDIM, DPM++ and PNDM keep unit variance; those of rectified flow mix s noise
    and 1 - s signal.

    GuidanceError for schedulers without `alphas_cumprod`.
    """
    num_steps = len(scheduler.timesteps)
    if step >= num_steps:
        return NoiseLevel(step, num_steps, 0, 0.0, 1.0, False)
    if type(scheduler).__name__.startswith("FlowMatch"):
        return _get_flow_level(scheduler, step, timestep)
    if not hasattr(scheduler, "alphas_cumprod"):
        raise GuidanceError(
            f"Got a {type(scheduler).__name__}, expected a scheduler with alphas_cumprod, which set how far latents "
            "move; use DDIM, Euler, DPM++ or PNDM, or draw without regions."
        )
    own = scheduler.timesteps[step]
    sigma = _interpolate_sigma(scheduler.alphas_cumprod, float(own))
    scaled = float(scheduler.init_noise_sigma) > 1.5
    latent_scale = (1 + sigma**2) ** 0.5 if scaled else 1.0
    at = own if timestep is None else timestep
    return NoiseLevel(step, num_steps, at, sigma, latent_scale, not _is_mid_step(scheduler))


def is_within(level: NoiseLevel, steps: int | float) -> bool:
    """Whether this is one of the first `steps`: a number of steps, or a share of all of them below 1."""
    return level.step < (steps * level.num_steps if 0 < steps < 1 else steps)


def _get_flow_level(scheduler: SchedulerMixin, step: int, timestep: Tensor | float | None) -> NoiseLevel:
    """Latents are (1 - s) x + s noise (Liu et al. 2023, arXiv 2209.03003); pure noise counts as s = 0.999."""
    own = scheduler.timesteps[step]
    share = min(float(own) / scheduler.config.num_train_timesteps, 0.999)
    scale = ((1 - share) ** 2 + share**2) ** 0.5
    first = getattr(scheduler, "state_in_first_order", True) is not False  # Heun: in the first half of a step
    at = own if timestep is None else timestep
    return NoiseLevel(step, len(scheduler.timesteps), at, share / (1 - share), scale, first)


def _interpolate_sigma(alphas_cumprod: Tensor, timestep: float) -> float:
    """sigma = sqrt((1 - alpha_bar) / alpha_bar), geometric between whole timesteps, where those of Karras lie."""
    at = min(max(timestep, 0.0), len(alphas_cumprod) - 1.0)
    low, part = int(at), at - int(at)
    high = min(low + 1, len(alphas_cumprod) - 1)
    alphas = float(alphas_cumprod[low]), float(alphas_cumprod[high])
    before, after = (((1 - a) / max(a, 1e-12)) ** 0.5 for a in alphas)
    return before ** (1 - part) * after**part


def _is_mid_step(scheduler: SchedulerMixin) -> bool:
    """Between two calls that make one step: the scheduler continues from the latents of an earlier call."""
    if getattr(scheduler, "state_in_first_order", True) is False:  # Heun, KDPM2: in the second half of a step
        return True
    if not hasattr(scheduler, "prk_timesteps"):
        return False
    if scheduler.counter < len(scheduler.prk_timesteps) and not scheduler.config.skip_prk_steps:  # PNDM: Runge-Kutta
        return scheduler.counter % 4 != 0
    return scheduler.config.skip_prk_steps and scheduler.counter == 1  # its first linear step is taken twice

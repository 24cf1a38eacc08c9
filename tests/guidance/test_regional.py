"""The mask of regional attention by hand, and on the UNet's cross-attention."""

import pytest
import torch

from audiotoken.debug import debug_pipeline
from guidance import Region, Regional, sample
from guidance.errors import GuidanceError
from guidance.regional import make_bias

ONE, TWO = (True, False), (False, True)
NONE = (False, False)
# three words (of region 1, of region 2, of none), then pixels in region 1, in region 2, in none
MEMBERS = torch.tensor([[ONE, TWO, NONE, ONE, TWO, NONE]])
IS_PIXEL = torch.tensor([False, False, False, True, True, True])


@pytest.mark.parametrize(
    ("restricted", "read"),  # rows read columns
    [
        (False, ["101100", "011010", "111111", "101111", "011111", "001111"]),
        (True, ["101100", "011010", "001001", "101100", "011010", "001001"]),
    ],
)
def test_who_reads_whom(restricted, read):
    sequence = MEMBERS, IS_PIXEL
    bias = make_bias(sequence, sequence, Regional(boost=2.0, restricted=restricted))[0]
    assert ["".join(str(int(entry)) for entry in row) for row in bias > -torch.inf] == read
    assert (bias == 2.0).nonzero().tolist() == [[3, 0], [4, 1]]  # pixels of a region read its word more


def test_boxes_that_overlap_share_their_pixels():
    members = torch.tensor([[(True, True), ONE, TWO]])
    bias = make_bias((members[:, :1], IS_PIXEL[3:4]), (members[:, 1:], IS_PIXEL[:2]), Regional(boost=0.0))[0]
    assert bias.tolist() == [[0.0, 0.0]]


@pytest.fixture(scope="module")
def pipe():
    return debug_pipeline()


def test_a_unet_reads_words_in_their_boxes_until_they_are_released(pipe):
    (prompt,) = pipe.encode_prompts("a dog and a frog")
    region = Region((0.0, 0.0, 0.5, 1.0), (3,))
    options = {"num_inference_steps": 1, "guidance_scale": 1.0}
    plain = sample(pipe, prompt, **options).latents
    drawn = sample(pipe, prompt, regions=[region], energy=Regional(steps=1, boost=20.0), **options).latents
    assert not torch.allclose(plain, drawn, atol=1e-3)
    assert torch.equal(sample(pipe, prompt, regions=[region], energy=Regional(steps=0), **options).latents, plain)


def test_attention_that_torch_does_not_compute_is_a_sentence(pipe):
    (prompt,) = pipe.encode_prompts("a dog and a frog")
    pipe.enable_attention_slicing()
    try:
        with pytest.raises(GuidanceError, match="expected scaled_dot_product_attention"):
            sample(pipe, prompt, regions=[Region((0.0, 0.0, 0.5, 1.0), (3,))], energy="regional")
    finally:
        pipe.disable_attention_slicing()

import pytest
import torch
from torch.testing import assert_close

from trustworthy.core.errors import InvalidInput
from trustworthy.training import CropAndFlip, GaussianNoise, Moment, SameCropAndTurn, random_crop, random_flip


def test_a_crop_is_the_padded_image_cut_at_some_place_in_reach(generator):
    x = torch.rand(64, 2, 5, 6, generator=generator)
    got = random_crop(x, padding=2, generator=generator)
    padded = torch.nn.functional.pad(x, (2, 2, 2, 2))
    places = set()
    for image, source in zip(got, padded, strict=True):
        found = [(i, j) for i in range(5) for j in range(5) if torch.equal(image, source[:, i : i + 5, j : j + 6])]
        assert len(found) == 1
        places.add(found[0])
    assert len(places) > 15  # of the 25 places, 64 images reach about 23


def test_every_place_is_equally_likely(generator):
    # One lit pixel in the middle: where it ends up is the shift. 25 places, chi-square with 24 degrees of freedom.
    x = torch.zeros(5000, 1, 5, 5)
    x[:, :, 2, 2] = 1.0
    where = random_crop(x, padding=2, generator=generator).flatten(1).argmax(1)
    counts = torch.bincount(where, minlength=25).double()
    assert ((counts - 200).square() / 200).sum() < 51.2  # 0.999 quantile


def test_a_crop_without_padding_changes_nothing(generator):
    x = torch.rand(3, 1, 4, 4, generator=generator)
    assert torch.equal(random_crop(x, padding=0, generator=generator), x)


def test_a_flip_mirrors_about_half_of_the_images_and_leaves_the_rest(generator):
    x = torch.rand(1000, 1, 2, 3, generator=generator)
    got = random_flip(x, generator=generator)
    mirrored = (got == x.flip(-1)).flatten(1).all(1)
    kept = (got == x).flatten(1).all(1)
    assert torch.equal(mirrored, ~kept)
    assert abs(int(mirrored.sum()) - 500) < 3.3 * 15.8  # binomial, 0.999


@pytest.mark.parametrize("change", [random_crop, random_flip])
def test_the_generator_decides_and_the_global_stream_is_left_alone(change):
    x = torch.rand(32, 1, 8, 8)
    before = torch.get_rng_state()
    first = change(x, generator=torch.Generator().manual_seed(3))
    again = change(x, generator=torch.Generator().manual_seed(3))
    other = change(x, generator=torch.Generator().manual_seed(4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), before)


def test_crop_and_flip_changes_the_images_and_keeps_the_labels(generator):
    x, y = torch.rand(32, 3, 8, 8), torch.arange(32)
    got, labels = CropAndFlip(padding=2)((x, y), Moment(0, 1, 0, 32, generator))
    expected = torch.Generator().manual_seed(0)
    assert_close(got, random_flip(random_crop(x, padding=2, generator=expected), generator=expected))
    assert torch.equal(labels, y)


def test_noise_is_normal_of_the_deviation_asked_for_and_leaves_the_labels():
    x, y = torch.full((100, 3, 10, 10), 0.5, dtype=torch.float64), torch.arange(100)
    got, labels = GaussianNoise(sigma=0.2)((x, y), Moment(0, 1, 0, 100, torch.Generator().manual_seed(0)))
    expected = torch.randn(x.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert_close(got, 0.5 + 0.2 * expected)
    assert torch.equal(labels, y)


def test_settings_out_of_range_are_refused():
    with pytest.raises(InvalidInput, match="sigma must be >= 0"):
        GaussianNoise(sigma=-0.1)
    with pytest.raises(InvalidInput, match="padding must be >= 0"):
        CropAndFlip(padding=-1)
    with pytest.raises(InvalidInput, match="padding must be >= 0"):
        random_crop(torch.zeros(1, 1, 4, 4), padding=-1)


def test_a_pair_is_cropped_and_turned_alike_in_every_way(generator):
    """Pixels hold their own number, so that each image says which place it is from and how it lies."""
    x = torch.arange(20.0).reshape(1, 1, 4, 5).repeat(600, 2, 1, 1)
    mask, labels = x[:, 0] > 3, torch.arange(600)
    got, target, marked, kept = SameCropAndTurn(size=3)((x, -x[:, :1], mask, labels), Moment(0, 1, 0, 600, generator))
    assert got.shape == (600, 2, 3, 3)
    assert_close(target, -got[:, :1], rtol=0, atol=0)
    assert torch.equal(marked, got[:, 0] > 3)
    assert torch.equal(kept, labels)
    whole = x[0, 0]
    ways = [
        torch.rot90(way, turn)
        for top in range(2)
        for left in range(3)
        for way in (whole[top : top + 3, left : left + 3], whole[top : top + 3, left : left + 3].flip(-1))
        for turn in range(4)
    ]
    found = torch.stack([(got[:, 0] == way).flatten(1).all(1) for way in ways], 1)
    assert (found.sum(1) == 1).all()
    assert ((found.sum(0) - 12.5).square() / 12.5).sum() < 84.0  # chi-square with 47 degrees of freedom, 0.999


def test_inputs_are_not_moved_away_from_targets_that_are_images():
    x, moment = torch.zeros(2, 1, 8, 8), Moment(0, 1, 0, 2, torch.Generator().manual_seed(0))
    for target in (torch.zeros(2, 3, 8, 8), torch.zeros(2, 8, 8)):
        with pytest.raises(InvalidInput, match=r"augment must move targets that are images.*use SameCropAndTurn\(\)"):
            CropAndFlip()((x, target), moment)
    CropAndFlip()((x, torch.zeros(2, 3)), moment)


def test_what_is_not_square_keeps_its_shape(generator):
    x = torch.rand(40, 1, 2, 3, generator=generator)
    (got,) = SameCropAndTurn()((x,), Moment(0, 1, 0, 40, generator))
    ways = [x, x.flip(-1), x.flip(-2), x.flip(-1, -2)]
    assert torch.stack([(got == way).flatten(1).all(1) for way in ways]).any(0).all()


def test_a_crop_larger_than_the_images_is_refused(generator):
    with pytest.raises(InvalidInput, match="size must be at most the side of the images, got 9 for 8 x 8"):
        SameCropAndTurn(size=9)((torch.zeros(1, 1, 8, 8),), Moment(0, 1, 0, 1, generator))

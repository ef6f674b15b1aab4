import imagecodecs
import numpy as np

from trustworthy.studio.images.preview import preview


def test_black_and_white_are_where_they_were_asked_for():
    image = np.array([[10.0, 15.0, 20.0, 99.0, np.nan]])
    assert imagecodecs.png_decode(preview(image, 10, 20)).tolist() == [[0, 128, 255, 255, 0]]
    assert imagecodecs.png_decode(preview(image, 10, 10)).max() == 0


def test_three_channels_are_colours_and_a_side_limits_the_size():
    assert imagecodecs.png_decode(preview(np.zeros((3, 40, 90)), 0, 1, side=32)).shape == (14, 30, 3)
    assert imagecodecs.png_decode(preview(np.zeros((2, 40, 90)), 0, 1, side=90)).shape == (40, 90)

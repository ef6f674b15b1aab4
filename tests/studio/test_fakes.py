"""The made-up result of a job is one that pages can read."""

import pytest

from studio.fakes import write_result
from trustworthy.studio.training.record import METRICS, load_result


@pytest.mark.parametrize("kind", ["train", "predict"])
def test_a_made_up_result_is_read_back_with_all_its_files(tmp_path, kind):
    result = write_result(tmp_path, kind=kind)
    assert load_result(tmp_path) == result
    assert set(result.summary) <= set(METRICS)
    for image in result.images:
        for role in image.roles:
            assert (tmp_path / "previews" / f"{image.folder}-0-{role}.png").is_file()
        assert (tmp_path / "images" / image.folder / "prediction.ome.tif").is_file()
        assert ("target" in image.roles) == (kind == "train")

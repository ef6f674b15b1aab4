import html
import io
import re

import numpy as np
import PIL.Image
import pytest

from studio.fakes import arrays
from studio.viewer.finished import finished, project_with_pairs
from trustworthy.studio.db.tables import Job
from trustworthy.studio.jobs.states import QUEUE
from trustworthy.studio.training.record import load_result
from trustworthy.studio.web import paging
from trustworthy.studio.web.charts import SCALES, Calibration, palette


@pytest.fixture
def job(database, storage):
    with database.session() as session:
        images = {f"well {n}.tif": arrays(n, planes=2) for n in range(3)}
        notes = ("Prediction and target seem to be moved by 3 pixels.",)
        return finished(session, storage, project_with_pairs(session), images=images, notes=notes)


def page(client, url):
    answer = client.get(url)
    assert answer.status_code == 200, answer.text
    return html.unescape(re.sub(r"\s+", " ", answer.text))


def fetched(client, url):
    with client.get(url) as answer:  # closes the file
        assert answer.status_code == 200
        return answer.data, answer.headers.get("Content-Disposition", "")


def test_results_show_metrics_beside_baselines_and_flagged_images_first(client, storage, job):
    result, text = load_result(storage.result(job.id)), page(client, f"/jobs/{job.id}/results")
    places = [text.index(image.name) for image in result.images]
    assert places == sorted(places)
    assert text.index("Look at this one") < text.index("Not flagged")
    row = text[text.index("Pearson correlation") :]
    assert row.index("0.930") < row.index("0.810") < row.index("could not be computed")
    assert f"{sum(image.flagged for image in result.images)} of them should be looked at" in text
    assert all(
        said in text for said in (*result.notes, result.promise, result.meaning, result.flagging, result.methods)
    )


def test_many_images_are_shown_sheet_by_sheet(client, storage, job, monkeypatch):
    monkeypatch.setattr(paging, "SIZE", 2)
    names = [image.name for image in load_result(storage.result(job.id)).images]
    for sheet, expected in (("1", names[:2]), ("2", names[2:]), ("99", names[2:])):
        text = page(client, f"/jobs/{job.id}/results?page={sheet}")
        assert [name for name in names if name in text] == expected
    assert "?page=2#images" in text


def test_only_downloads_that_are_there_are_offered_and_served(client, storage, job):
    (storage.result(job.id) / "report.html").unlink()
    text = page(client, f"/jobs/{job.id}/results")
    assert "download/zip" in text
    assert "download/report" not in text
    data, disposition = fetched(client, f"/jobs/{job.id}/results/download/metrics")
    assert data == b"image,pearson\n"
    assert "attachment" in disposition
    for name in ("report", "result.json", "..%2Fresult.json"):
        assert client.get(f"/jobs/{job.id}/results/download/{name}").status_code == 404


def test_the_viewer_shows_every_picture_of_the_plane_with_its_range_and_says_what_to_do(client, storage, job):
    first, *_, last = load_result(storage.result(job.id)).images
    text = page(client, f"/jobs/{job.id}/results/{first.folder}?plane=2")
    for role in ("source", "target", "prediction", "uncertainty", "error", "mask"):
        assert f'src="/jobs/{job.id}/results/{first.folder}/1/{role}.png"' in text
    low, high = first.ranges["uncertainty"]
    assert f'data-low="{low}" data-high="{high}"' in text
    assert "Plane 2 of 2" in text
    assert "above the threshold" in text
    assert "Look at it before you use the prediction" in text
    assert "<script>" not in text
    assert "style=" not in text
    assert "within the threshold" in page(client, f"/jobs/{job.id}/results/{last.folder}")


def test_new_images_have_no_target_and_are_compared_with_their_source(client, database, storage):
    with database.session() as session:
        job = finished(session, storage, project_with_pairs(session), new=True, threshold=None)
    first = load_result(storage.result(job.id)).images[0]
    text = page(client, f"/jobs/{job.id}/results/{first.folder}")
    assert 'data-compared="prediction source"' in text
    assert "target.png" not in text
    assert "Pearson" not in text
    assert first.unlike[0][1:] in text
    assert "nothing tells from how much" in text
    assert "How good it is" not in page(client, f"/jobs/{job.id}/results")


def test_uncertainty_is_coloured_by_the_legend_and_given_grey_to_the_script(client, job):
    url = f"/jobs/{job.id}/results/001-image/0/uncertainty.png"
    coloured, grey = (PIL.Image.open(io.BytesIO(fetched(client, url + end)[0])) for end in ("", "?grey=1"))
    assert grey.mode == "L"
    expected = np.array(palette("uncertainty"), np.uint8).reshape(256, 3)[np.asarray(grey)]
    np.testing.assert_array_equal(np.asarray(coloured.convert("RGB")), expected)
    assert bytes(palette("uncertainty")[-3:]).hex() == SCALES["uncertainty"][-1][1:]


def test_of_three_channels_the_most_uncertain_one_is_shown(client, storage, job):
    planes = np.random.default_rng(0).integers(0, 256, (24, 24, 3)).astype(np.uint8)
    PIL.Image.fromarray(planes).save(storage.result(job.id) / "previews" / "001-image-0-uncertainty.png")
    data, _ = fetched(client, f"/jobs/{job.id}/results/001-image/0/uncertainty.png?grey=1")
    np.testing.assert_array_equal(np.asarray(PIL.Image.open(io.BytesIO(data))), planes.max(2))


def test_what_is_not_in_the_record_is_not_there(client, job):
    for end in ("001-image/2/source.png", "001-image/0/none.png", "9/0/source.png", "9", "001-image/source.ome.tif"):
        assert client.get(f"/jobs/{job.id}/results/{end}").status_code == 404, end


def test_a_picture_is_taken_home_as_it_is(client, storage, job):
    data, disposition = fetched(client, f"/jobs/{job.id}/results/001-image/prediction.ome.tif")
    assert data == (storage.result(job.id) / "images" / "001-image" / "prediction.ome.tif").read_bytes()
    assert "001-image-prediction.ome.tif" in disposition


def test_a_job_that_has_not_ended_leads_back_to_its_page(client, database):
    with database.session() as session:
        job = Job(project_id=project_with_pairs(session).id, kind="train", status=QUEUE, settings={})
        session.add(job)
        session.flush()
    answer = client.get(f"/jobs/{job.id}/results")
    assert answer.status_code == 302
    assert answer.location == f"/jobs/{job.id}"
    assert client.get(f"/jobs/{'0' * 32}/results").status_code == 404


def test_the_curve_has_its_origin_below_on_the_left():
    curve = Calibration([(0.0, 0.0), (0.5, 0.25)], side=100)
    assert curve.places == [(0.0, 100.0), (50.0, 75.0)]
    assert curve.ticks[-1] == (100.0, "1")

import pytest
from sqlalchemy import select

from trustworthy.core.errors import InvalidInput
from trustworthy.studio.db.tables import Image, Pair, Project
from trustworthy.studio.pairs.pairing import pair_up, propose, save_pairs, undo_pairs, unpaired


def proposed(sources, targets):
    images = [
        Image(id=f"{role}{number}", name=name, role=role)
        for role, names in (("source", sources), ("target", targets))
        for number, name in enumerate(names)
    ]
    found = propose(images)
    return {(a.name, b.name) for _, a, b in found.pairs}, {image.name for image in found.alone}, found.pairs


@pytest.mark.parametrize(
    ("sources", "targets"),
    [
        (["phase/a1.tif", "phase/a2.tif"], ["dapi/a1.tif", "dapi/a2.png"]),
        (["a1_BF.tif", "a2_BF.tif"], ["a1_GFP.ome.tif", "a2_GFP.ome.tif"]),
        (["plate1/bf/a1.tif", "plate2/bf/a1.tif"], ["plate1/dapi/a1.tif", "plate2/dapi/a1.tif"]),
        (["red dye/x_c0.tif", "red dye/y_c0.tif"], ["blue/x_c1.tif", "blue/y_c1.tif"]),  # words of no list
        (["in/a b.tif", "in/a-b.tif"], ["out/a b.tif", "out/a-b.tif"]),  # told apart by what is no letter
        (["in/a.tif", "in/a.b.tif"], ["out/a.tif", "out/a.b.tif"]),
        (["in/Zelle-\u00e4.tif"], ["out/Zelle-a\u0308.tif"]),  # one name, two ways to write it
        (["in/" + "n" * 200 + ".tif"], ["out/" + "n" * 200 + ".tif"]),
        (["source.tif"], ["target.tif"]),
        (["A/1.tif"], ["B/1.tif"]),
    ],
    ids=lambda names: names[0][:12].replace("/", "-") if isinstance(names, list) else None,
)
def test_pairs_what_is_called_alike(sources, targets):
    pairs, alone, named = proposed(sources, targets)
    assert pairs == set(zip(sources, targets, strict=True))
    assert not alone
    assert len({name for name, *_ in named}) == len(sources)


def test_leaves_to_a_person_what_is_not_clear():
    pairs, alone, _ = proposed(["day1/phase/a.tif", "phase/b.tif", "phase/b.png"], ["day2/dapi/a.tif", "dapi/b.tif"])
    assert not pairs
    assert len(alone) == 5


def test_names_are_those_of_places():
    _, _, named = proposed(["plate 1/brightfield/img_007_BF.tif"], ["plate 1/dapi/img_007.tif"])
    assert [name for name, *_ in named] == ["plate 1/007"]


def test_saves_what_is_found_and_keeps_what_a_person_has_paired(session, with_images):
    project = with_images(["in/a.tif", "in/b.tif", "in/c.tif"], ["out/a.tif", "out/b.tif", "out/other.tif"])
    ids = {image.name: image.id for image in project.images}
    save_pairs(session, project.id, [("a", ids["in/c.tif"], ids["out/other.tif"])])
    assert len(pair_up(session, project.id).pairs) == 2
    pairs = session.scalars(select(Pair)).all()
    assert {pair.name for pair in pairs} == {"a", "a (2)", "b"}
    assert {pair.part for pair in pairs} == {"train", "validation", "test"}
    undo_pairs(session, project.id, [pairs[0].id])
    assert {image.name for image in unpaired(session, project.id)} == {"in/c.tif", "out/other.tif"}


def test_refuses_an_image_in_two_pairs_or_of_another_project(session, with_images):
    other = Project(name="other")
    session.add(other)
    session.flush()
    project = with_images(["a.tif", "b.tif"], ["c.tif"])
    with_images([], ["d.tif"], other)
    ids = {image.name: image.id for image in (*project.images, *other.images)}
    with pytest.raises(InvalidInput, match="in one pair only"):
        save_pairs(session, project.id, [("x", ids["a.tif"], ids["c.tif"]), ("y", ids["b.tif"], ids["c.tif"])])
    with pytest.raises(InvalidInput, match="no longer there"):
        save_pairs(session, project.id, [("x", ids["a.tif"], ids["d.tif"])])

"""The files of a package: damaged, too large, linked or outside ones are refused with a sentence, and never read."""

import os
import re
import stat
import zipfile
from pathlib import Path

import pytest

from codeenv.problems import ProblemError, load
from codeenv.problems.packages import files, read_package
from tests.problems.test_packages import LEGACY, package, zipped


def test_text_that_is_not_utf8_is_named(tmp_path: Path) -> None:
    path = package(tmp_path / "p", LEGACY)
    (path / "data/secret/group1/1.in").write_bytes(b"\xff\n")
    with pytest.raises(ProblemError, match=r"data/secret/group1/1\.in: byte 0 is not UTF-8"):
        load(path)


def test_a_truncated_zip_is_named(tmp_path: Path) -> None:
    archive = zipped(package(tmp_path / "p", LEGACY), tmp_path / "p.zip")
    archive.write_bytes(archive.read_bytes()[:-100])
    with pytest.raises(ProblemError, match="no complete zip file"):
        load(archive)


def test_damaged_content_of_a_zip_is_named(tmp_path: Path) -> None:
    archive = zipped(package(tmp_path / "p", LEGACY), tmp_path / "p.zip")
    data = archive.read_bytes()
    archive.write_bytes(data.replace(b"18\n", b"19\n", 1))
    with pytest.raises(ProblemError, match=r"2\.ans cannot be read"):
        load(archive)


@pytest.mark.parametrize("packing", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_damaged_packed_content_of_a_zip_is_named_and_the_other_packages_load(packing: int, tmp_path: Path) -> None:
    package(tmp_path / "packages" / "good", LEGACY)
    archive = tmp_path / "packages" / "bad.zip"
    with zipfile.ZipFile(archive, "w", packing) as file:
        for name, text in LEGACY.items():
            file.writestr(name, text)
        start = file.getinfo("problem.yaml").header_offset + 30 + len("problem.yaml")
    data = bytearray(archive.read_bytes())
    data[start : start + 20] = b"\xff" * 20
    archive.write_bytes(data)
    with pytest.raises(ProblemError, match=r"bad\.zip: problem\.yaml cannot be read"):
        load(archive)
    assert load(tmp_path / "packages", skip_bad=tmp_path / "bad.jsonl").ids() == ["good"]


@pytest.mark.parametrize("place", ["data/secret/3.in", "data/secret/more"])
def test_a_link_that_leads_back_to_itself_is_refused_and_the_other_packages_load(place: str, tmp_path: Path) -> None:
    package(tmp_path / "packages" / "good", LEGACY)
    path = package(tmp_path / "packages" / "bad", LEGACY)
    (path / place).symlink_to((path / place).with_name("other"))
    (path / place).with_name("other").symlink_to(path / place)
    with pytest.raises(ProblemError, match="is a link that leads back to itself"):
        load(path)
    assert load(tmp_path / "packages", skip_bad=tmp_path / "bad.jsonl").ids() == ["good"]


def test_a_link_beside_the_data_may_lead_back_to_itself(tmp_path: Path) -> None:
    path = package(tmp_path / "p", LEGACY)
    (path / "notes").symlink_to(path / "notes")
    assert len(load(path)) == 1


@pytest.mark.parametrize("name", ["../outside.in", "/etc/x.in", "a/../../x.in"])
def test_a_zip_with_a_path_outside_is_refused(name: str, tmp_path: Path) -> None:
    archive = zipped(package(tmp_path / "p", LEGACY), tmp_path / "p.zip")
    with zipfile.ZipFile(archive, "a") as file:
        file.writestr(name, "1")
    with pytest.raises(ProblemError, match="which leaves the package"):
        load(archive)


def test_a_link_to_a_file_outside_is_refused(tmp_path: Path) -> None:
    path = package(tmp_path / "p", LEGACY)
    (tmp_path / "secret.txt").write_text("1\n")
    (path / "data/secret/3.in").symlink_to(tmp_path / "secret.txt")
    with pytest.raises(ProblemError, match=r"data/secret/3\.in is a link to .*, outside the package"):
        load(path)


@pytest.mark.parametrize("place", ["data", "data/secret", "problem_statement"])
def test_a_folder_that_is_a_link_out_of_the_package_is_refused(place: str, tmp_path: Path) -> None:
    path = package(tmp_path / "p", LEGACY)
    (path / place).rename(tmp_path / "elsewhere")
    (path / place).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ProblemError, match=rf"p: {place} is a link to .*elsewhere', outside the package; put what it leads to"):
        load(path)


def test_a_folder_that_is_a_link_within_the_package_stands_for_its_files(tmp_path: Path) -> None:
    path = package(tmp_path / "p", LEGACY)
    whole = read_package(path).problem
    (path / "data").rename(path / "tests")
    (path / "data").symlink_to("tests")
    assert read_package(path).problem == whole
    (path / "data" / "again").symlink_to(path)
    with pytest.raises(ProblemError, match="is a link to a folder that it is in"):
        read_package(path)


@pytest.mark.parametrize(("name", "limit", "sentence"), [
    ("MAX_PACKAGE_BYTES", 1 << 20, "its files are 5 MB long unpacked; the limit is 1 MB"),
    ("MAX_FILE_BYTES", 1 << 20, "data/secret/big.in is 5 MB long; the limit is 1 MB"),
    ("MAX_FILES", 10, "it has 21 files; the limit is 10"),
])  # fmt: skip
def test_a_zip_that_unpacks_to_too_much_is_refused(name: str, limit: int, sentence: str, tmp_path: Path, monkeypatch) -> None:
    folder = package(tmp_path / "p", LEGACY, **{"data/secret/big.in": "0" * (5 << 20), "data/secret/big.ans": "0"})
    with zipfile.ZipFile(tmp_path / "p.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for file in folder.rglob("*"):
            archive.write(file, file.relative_to(folder))
    assert (tmp_path / "p.zip").stat().st_size < 1 << 16
    monkeypatch.setattr(files, name, limit)
    for path in (tmp_path / "p.zip", folder):
        with pytest.raises(ProblemError) as caught:
            load(path)
        assert sentence in str(caught.value)


def linked_zip(path: Path, links: dict[str, str], **files: str) -> Path:
    """A zip of the package with links, as `zip --symlinks` stores them: the mode says link, the content is the target."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in {**LEGACY, **files}.items():
            archive.writestr(f"p/{name}", text)
        for name, target in links.items():
            info = zipfile.ZipInfo(f"p/{name}")
            info.create_system, info.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
            archive.writestr(info, target)
    return path


def test_links_in_a_zip_are_followed_as_in_a_folder(tmp_path: Path) -> None:
    links = {
        "data/secret/9.in": "../../notes/nine.in",
        "data/secret/9.ans": "8.ans",
        "data/secret/8.ans": "../../notes/nine.ans",
        "data/secret/8.in": "9.in",
        "data/secret/again": "../../notes",
    }
    texts = {"notes/nine.in": "9 9\n", "notes/nine.ans": "18\n"}
    from_zip = read_package(linked_zip(tmp_path / "p.zip", links, **texts)).problem
    folder = package(tmp_path / "p", LEGACY, **texts)
    for name, target in links.items():
        (folder / name).symlink_to(target)
    assert from_zip == read_package(folder).problem
    assert [test.output for test in from_zip.private_tests].count("18\n") >= 3


@pytest.mark.parametrize(("name", "target", "sentence"), [
    ("data/secret/9.in", "../../../../etc/passwd", "is a link to '../../../../etc/passwd', outside the package"),
    ("data/secret/9.in", "/etc/passwd", "is a link to '/etc/passwd', outside the package"),
    ("data/secret/9.in", "nothing.in", "is a link to 'nothing.in', which does not exist"),
    ("data/secret/9.in", "9.in", "is a link that leads back to itself"),
    ("data/secret/up", "..", "is a link to a folder that it is in"),
    ("data/secret/all", "../..", "is a link to a folder that it is in"),
])  # fmt: skip
def test_a_link_that_cannot_be_followed_is_refused_with_one_sentence_in_a_zip_and_in_a_folder(
    name: str, target: str, sentence: str, tmp_path: Path
) -> None:
    archive = linked_zip(tmp_path / "p.zip", {name: target})
    folder = package(tmp_path / "p", LEGACY)
    (folder / name).symlink_to(target)
    with pytest.raises(ProblemError, match=re.escape(f"{name} {sentence}")):
        load(archive)
    kind = sentence if "/etc" not in sentence else "/etc/passwd', outside the package"  # a folder's link is resolved
    with pytest.raises(ProblemError, match=f"{re.escape(name)} .*{re.escape(kind)}"):
        load(folder)


def test_a_test_of_two_dangling_links_or_pipes_does_not_vanish(tmp_path: Path) -> None:
    path = package(tmp_path / "dangling", LEGACY)
    for suffix in ("in", "ans"):
        (path / f"data/secret/7.{suffix}").symlink_to(f"gone.{suffix}")
    with pytest.raises(ProblemError, match=r"data/secret/7\.(in|ans) is a link to 'gone\.(in|ans)', which does not exist"):
        load(path)
    path = package(tmp_path / "pipes", LEGACY)
    for suffix in ("in", "ans"):
        os.mkfifo(path / f"data/secret/7.{suffix}")
    with pytest.raises(ProblemError, match=r"data/secret/7\.(in|ans) is neither a file nor a folder"):
        load(path)
    path = package(tmp_path / "behind", LEGACY)
    (path / "tests").mkdir()
    (path / "data/secret/more").symlink_to("../../tests")
    (path / "tests/7.in").symlink_to("gone.in")
    with pytest.raises(ProblemError, match=r"data/secret/more/7\.in is a link to 'gone\.in', which does not exist"):
        load(path)

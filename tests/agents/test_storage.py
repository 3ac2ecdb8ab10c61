"""A model on disk is whole or not there, and what stops it is a sentence."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from codeenv.agents.lm.models import MiniShape, build_mini_policy
from codeenv.agents.lm.storage import save_pretrained
from codeenv.agents.rlef.miniature import build_tokenizer
from codeenv.errors import CodeenvError

torch.set_num_threads(1)

SMALL = MiniShape(hidden=16, feed_forward=16, layers=1, heads=2)


def test_a_model_replaces_the_one_that_was_there(tmp_path: Path) -> None:
    tokenizer = build_tokenizer()
    for seed in (0, 1):
        save_pretrained(build_mini_policy(tokenizer, SMALL, seed), tokenizer, tmp_path / "policy")
    assert [path.name for path in tmp_path.iterdir()] == ["policy"]
    weights = torch.nn.Module.state_dict(build_mini_policy(tokenizer, SMALL, 1))
    from safetensors.torch import load_file

    stored = load_file(tmp_path / "policy" / "model.safetensors")
    assert all(torch.equal(stored[name], weights[name]) for name in stored)


def test_a_folder_that_cannot_be_made_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    tokenizer = build_tokenizer()
    with pytest.raises(CodeenvError, match=r"cannot write the model .*Not a directory"):
        save_pretrained(build_mini_policy(tokenizer, SMALL, 0), tokenizer, tmp_path / "file" / "policy")


def test_a_disk_that_takes_no_more_is_a_sentence_and_leaves_the_old_model(tmp_path: Path) -> None:
    code = (
        "import resource, sys; from pathlib import Path\n"
        "from codeenv.agents.lm.models import MiniShape, build_mini_policy\n"
        "from codeenv.agents.lm.storage import save_pretrained\n"
        "from codeenv.agents.rlef.miniature import build_tokenizer\n"
        "tokenizer, folder = build_tokenizer(), Path(sys.argv[1])\n"
        "policy = build_mini_policy(tokenizer, MiniShape(hidden=16, feed_forward=16, layers=1, heads=2), 0)\n"
        "save_pretrained(policy, tokenizer, folder)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))\n"
        "try:\n    save_pretrained(policy, tokenizer, folder)\n"
        "except Exception as error:\n    print(type(error).__name__, error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "policy")], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("CodeenvError cannot write the model")
    assert len(done.stdout.splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["policy"]
    assert (tmp_path / "policy" / "model.safetensors").stat().st_size > 2000

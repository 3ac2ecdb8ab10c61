"""The container image is made once where an engine answers, so that the suites run against containers as well."""

import contextlib

import pytest

from codeenv.errors import CodeenvError


@pytest.fixture(scope="session", autouse=True)
def container_image() -> None:
    with contextlib.suppress(CodeenvError):
        from codeenv.sandbox.docker import engine
        from codeenv.sandbox.image import IMAGE, build

        client = engine()
        try:
            if not client.images.list(IMAGE):
                build(client)
        finally:
            client.close()

"""The container image is made once where an engine answers, so that the suites run against containers as well."""

import contextlib

import pytest

from codeenv.errors import CodeenvError


@pytest.fixture(scope="session", autouse=True)
def container_image() -> None:
    with contextlib.suppress(CodeenvError):
        from codeenv.sandbox.docker import engine
        from codeenv.sandbox.image import IMAGE, LABEL, build, code_digest

        client = engine()
        try:
            if not any(image.labels.get(f"{LABEL}.code") == code_digest() for image in client.images.list(IMAGE)):
                build(client)
        finally:
            client.close()

"""`codeenv docker`: make the image that the isolation level `docker` runs."""

from __future__ import annotations

from typing import Literal

import tyro

from codeenv.sandbox.image import IMAGE, LABEL, build


def main(
    action: tyro.conf.Positional[Literal["build", "remove"]], tag: str = IMAGE, packages: tuple[str, ...] = ("numpy",)
) -> int:
    """Make the image for the isolation level docker from the interpreter that runs codeenv, or remove it and its containers.

    Example: codeenv docker build

    Args:
        action: build or remove.
        tag: name of the image.
        packages: packages of this interpreter that submissions may import.
    """
    from codeenv.sandbox.docker import engine

    client = engine()
    try:
        if action == "build":
            print(f"{tag} {build(client, tag, packages)}")
        else:
            for container in client.containers.list(all=True, filters={"label": LABEL}):
                container.remove(force=True)
            for image in client.images.list(tag):
                client.images.remove(image.id, force=True)
            print(f"{tag} removed")
    finally:
        client.close()
    return 0

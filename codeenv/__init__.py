"""codeenv: teach language models to use execution feedback."""

__version__ = "0.1.0"

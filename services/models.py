"""Which model serves: the bundled one, or any checkpoint through transformers."""

from classify.model import Model


def open_model(name: str, threads: int = 2) -> Model:
    """`bundled`, or a Hugging Face name or folder.

    Raises:
        ModelMissing: its files or its packages are not there, or it judges no sentiment; the message says what to do.
    """
    if name == "bundled":
        from classify.bundled import Bundled  # noqa: PLC0415 - onnxruntime is only loaded by what needs it

        return Bundled(threads=threads)
    from classify.transformer import Transformer  # noqa: PLC0415

    return Transformer(name)

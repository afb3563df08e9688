"""Frozen parts by name, from GGUF files and from CTranslate2 folders."""

from speechverse.pretrained.convert import converted, convertible
from speechverse.pretrained.fetch import get_part, is_here, part_named, refuse_offline
from speechverse.pretrained.known_parts import KNOWN
from speechverse.pretrained.packages import PartError
from speechverse.pretrained.places import cache_folder, go_offline, offline
from speechverse.pretrained.record import file_hash, source_fingerprint

__all__ = [
    "KNOWN",
    "PartError",
    "cache_folder",
    "converted",
    "convertible",
    "file_hash",
    "get_part",
    "go_offline",
    "is_here",
    "offline",
    "part_named",
    "refuse_offline",
    "source_fingerprint",
]

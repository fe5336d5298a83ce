"""Keras' `.keras` archive: configuration, weights in HDF5, assets."""

import re
from typing import Final

from untaint.models.formats import json_text, keras_objects, zips
from untaint.models.formats.notes import Notes
from untaint.models.formats.zips import Archive

_OWN: Final = re.compile(r"config\.json|metadata\.json|model\.weights(?:_\d+)?\.(?:h5|npz|json)|assets/.+")


def is_one(archive: Archive) -> bool:
    """Whether Keras would take this archive for its own."""
    return archive.member("config.json") is not None and archive.member("metadata.json") is not None


def scan(archive: Archive, where: str, notes: Notes, depth: int) -> None:
    """Look at every member."""
    for member in zips.checked(archive, where, notes):
        place = f"{where}: {member.name}" if where else member.name
        if not _OWN.fullmatch(member.name):
            notes.flaw("medium", "archive-trick", place, "it is no part of a Keras archive")
        if member.name == "config.json":
            content = member.inflated(notes)
            keras_objects.scan(json_text.read(content.get(0, content.size)), place, notes)
        elif member.name.startswith("assets/"):
            notes.rides(place)
            notes.inside(member.inflated(notes), place, depth)
        else:
            notes.inside(member.inflated(notes), place, depth)

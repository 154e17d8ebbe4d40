"""YAML of users is data: whatever would run, vanish or change its value without a word is told with its line."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
import yaml
from workflow_support import ROOT

sys.path.insert(0, str(ROOT / "workflow" / "scripts"))

import user_yaml

BOMB = "a: &a [1, 1]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)
REFUSED = {
    # content: what is told after the path
    "key twice": (
        "nlsq: {starts: 1}\ncmc: {}\nnlsq: {}\n",
        "the key nlsq stands twice, in lines 1 and 3; make them one",
    ),
    "deep in a list": ("a:\n  - b:\n      c: 1\n      d: 2\n      c: 3\n", "the key c stands twice, in lines 3 and 5;"),
    "in one line": ("a: {b: 1, b: 2}", "the key b stands twice, in line 1;"),
    "quoted and bare": ("a: 1\n'a': 2", "the key a stands twice, in lines 1 and 2;"),
    "in JSON": ('{"a": 1,\n"a": 2}', "the key a stands twice, in lines 1 and 2;"),
    "octal": ("a: 1\nb: 010", "line 2: YAML does not read 010 as the plain number it looks like; write a decimal"),
    "minutes": ("a: 1:30", "line 1: YAML does not read 1:30 as the plain number"),
    "hexadecimal": ("a: 0x1F", "line 1: YAML does not read 0x1F as"),
    "grouped": ("a: 1_000.5", "line 1: YAML does not read 1_000.5 as"),
    "long": ("a: " + "9" * 5000, "line 1: YAML does not read 999"),
    "date": ("a: 2026-01-01", "line 1: YAML reads 2026-01-01 as a date; put it in quotes."),
    "name": ("a: !!python/name:os.system", "line 1: the tag !!python/name:os.system is not allowed, as this file is"),
    "call": (
        "a: !!python/object/apply:os.system [x]",
        "line 1: the tag !!python/object/apply:os.system is not allowed",
    ),
    "own tag": ("a: !mine 3", "line 1: the tag !mine is not allowed"),
    "set": ("a: !!set {b, c}", "line 1: the tag !!set is not allowed"),
    "bomb": (BOMB, "line 6: more than 100000 values; links"),
    "circle": ("a: &a {b: *a}", "line 1: this value contains itself; write it out."),
    "deep": ("[" * 500, "groups and lists stand in each other too deeply."),
    "two documents": ("a: 1\n---\nb: 2", "line 2: this is not YAML ("),
    "tab": ("a:\n\tb: 1", "line 2: this is not YAML ("),
    "no such link": ("a: *b", "line 1: this is not YAML (found undefined alias"),
    "escape": ("a: \x1b[31m", "this is not YAML (unacceptable character #x001b"),
    "Latin-1": ("a: é".encode("latin-1"), "this is not YAML, which is UTF-8 text; save it as UTF-8."),
    "UTF-16": ("a: 1".encode("utf-16"), "this is not YAML, which is UTF-8 text; save it as UTF-8."),
    "large": (b"#" * 1_000_001, "this file has more than 1000000 bytes; is it the one meant?"),
}


def told(path: Path, read=user_yaml.read_yaml) -> str:
    """The sentence with which a file is refused, without its path."""
    with pytest.raises(ValueError) as caught:
        read(path)
    text = str(caught.value)
    assert "\n" not in text and len(text) < 400
    assert text.startswith(f"{path}: ")
    return text.removeprefix(f"{path}: ")


@pytest.mark.parametrize(("content", "words"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_plain_data_is_told(tmp_path, content, words):
    path = tmp_path / "file.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert told(path).startswith(words)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: None, "this file cannot be read (No such file or directory); check"),
        (lambda path: path.symlink_to("gone.yaml"), "this file cannot be read (No such file or directory); check"),
        (
            lambda path: path.symlink_to(path.name),
            "this file cannot be read (Too many levels of symbolic links); check",
        ),
        (Path.mkdir, "this is not a file; write settings into"),
        (os.mkfifo, "this is not a file; write settings into"),
    ],
    ids=["missing", "dangling", "loop", "folder", "pipe"],
)
def test_what_is_no_file_is_told(tmp_path, make, words):
    path = tmp_path / "file.yaml"
    make(path)
    assert told(path).startswith(words)


GOOD = """\
a: {b: [1, -2, 0, 1.5, 1.0e+3, .5, -.inf, true, no, ~, '010', "1:30", text, 1e3]}
base: &base {x: 1, y: 2}
merged: {<<: *base, y: 3}
again: [*base, *base]
"""


@pytest.mark.parametrize("content", [GOOD, "", "# nothing\n", "\ufeffa: 1", "3"])
def test_plain_data_are_read_as_the_safe_loader_reads_them(tmp_path, content):
    path = tmp_path / "file.yaml"
    path.write_text(content, encoding="utf-8")
    assert user_yaml.read_yaml(path) == yaml.safe_load(content)


@pytest.mark.parametrize("content", ["", "# nothing\n", "---\n", "~\n"])
def test_settings_without_content_are_none(tmp_path, content):
    path = tmp_path / "config.yaml"
    path.write_text(content, encoding="utf-8")
    assert user_yaml.read_settings(path) == {}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("[1, 2]", "the content is [1, 2]; it must be a group of keys"),
        ("__use_yte__: true", "__use_yte__ would run code"),
    ],
)
def test_settings_are_a_group_of_keys_and_run_nothing(tmp_path, content, words):
    path = tmp_path / "config.yaml"
    path.write_text(content, encoding="utf-8")
    assert told(path, user_yaml.read_settings).startswith(words)


def test_long_values_are_cut():
    assert user_yaml.short(10**5000) == "a number of more than 80 digits"
    assert len(user_yaml.short("x" * 999)) < 80 and user_yaml.short([1, "b"]) == "[1, 'b']"

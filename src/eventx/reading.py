"""One file, or standard input, -> its text: which encoding it is in, and what to type where it is no text.

Nothing is changed on the way in: CRLF stays CRLF and the byte order mark of UTF-8 stays as U+FEFF, so offsets fit a
plain `open(path, encoding=..., newline="")`. UTF-8 needs no guess; UTF-16 tells itself; the common 8-bit encodings are
told by charset-normalizer, where it is installed. What is no text is refused with one line that says what to type.
"""

from __future__ import annotations

import os
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

STDIN = "-"
"""The source that means standard input."""

# What file(1) calls text: everything but these. ESC, bell and backspace stand in logs of terminals.
_CONTROLS = bytes(sorted({*range(32), 127} - {7, 8, 9, 10, 11, 12, 13, 27}))
# Random bytes hold 10 % of them, text next to none.
_CONTROLS_IN_TEXT = 0.05
# Western text written in one byte a letter holds few letters outside ASCII; other scripts hold little else.
_HIGH_BYTES_IN_WESTERN = 0.3
# Names longer than this are cut in messages; more words than this in a name are a sentence.
_LONGEST_NAME = 300
_MOST_WORDS = 4
_BOMS = {  # the longer first: UTF-32 begins as UTF-16 does
    b"\xff\xfe\x00\x00": "UTF-32",
    b"\x00\x00\xfe\xff": "UTF-32",
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
}
_PDF = ("a PDF", "pdftotext {file} {stem}.txt")
_RTF = ("a rich text (RTF) document", "soffice --headless --convert-to txt:Text {file}")
_WORD = ("a Word document", "soffice --headless --convert-to txt:Text {file}")
_ZIP = ("a zip archive", "unzip {file}")
_GZIP = ("a gzip archive", "gunzip -c {file} | eventx tag -")
_IMAGE = ("an image", "tesseract {file} {stem}")
_TEXT_LIKE_MAGIC = {b"%PDF-": _PDF, b"{\\rtf": _RTF}
_MAGIC = {
    **_TEXT_LIKE_MAGIC,
    b"PK\x03\x04": _ZIP,
    b"PK\x05\x06": _ZIP,
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": ("an old Office document (Word, Excel)", _WORD[1]),
    b"\x1f\x8b": _GZIP,
    b"BZh": ("a bzip2 archive", "bunzip2 -c {file} | eventx tag -"),
    b"\xfd7zXZ\x00": ("an xz archive", "xz -dc {file} | eventx tag -"),
    b"\x28\xb5\x2f\xfd": ("a zstandard archive", "zstd -dc {file} | eventx tag -"),
    b"7z\xbc\xaf\x27\x1c": ("a 7-Zip archive", "7z x {file}"),
    b"\x89PNG\r\n": _IMAGE,
    b"\xff\xd8\xff": _IMAGE,
    b"GIF87a": _IMAGE,
    b"GIF89a": _IMAGE,
    b"II*\x00": _IMAGE,
    b"MM\x00*": _IMAGE,
}
"""First bytes -> what the file is and what to type; asked only of what is no text, except for the text-like."""


class InputError(Exception):
    """An input that cannot be tagged; the message is one line: what came, what was expected, what to type."""


@dataclass(frozen=True, slots=True)
class Input:
    """A text to tag.

    Attributes:
        id: the file's name without its ending, `stdin`, or what a field of a table says.
        source: the path as it was given, or `-`; a record of a file is `path#number`, from 1.
        text: as it stands in the file, or as it was taken out of it.
        date, title: as the input tells them; "" where it does not.
        encoding: of the file; "" for UTF-8.
        derived: whether the text is not the file's own, but a field of it or taken out of HTML: then offsets are into
            this text alone, and it must be given back with them.
    """

    id: str
    source: str
    text: str
    date: str = ""
    title: str = ""
    encoding: str = ""
    derived: bool = False


def read_text(source: str, stdin: BinaryIO | None = None) -> Input:
    """Read one file, or standard input for `-`, as text with nothing changed.

    Args:
        source: a path, or `-`.
        stdin: what to read for `-`, by default the standard input of the process.

    Raises:
        InputError: if there is nothing to read, or it is empty, binary or in an encoding that cannot be told.
    """
    data = read_bytes(source, stdin)
    text, encoding = decode(data, source)
    return Input("stdin" if source == STDIN else Path(source).stem, source, text, encoding=encoding)


def read_bytes(source: str, stdin: BinaryIO | None = None) -> bytes:
    """Return all bytes of a file, or of standard input for `-`.

    Raises:
        InputError: if it cannot be read.
    """
    return _read_stdin(stdin) if source == STDIN else _read_file(source)


def _read_stdin(stdin: BinaryIO | None) -> bytes:
    """Return all bytes of standard input."""
    if stdin is None:
        if sys.stdin is None:
            raise InputError("standard input is closed, expected text; type: eventx tag FILE")
        stdin = sys.stdin.buffer
    try:
        return stdin.read()
    except OSError as error:
        raise InputError(f"standard input cannot be read ({_reason(error)}); type: eventx tag FILE") from error


def _read_file(source: str) -> bytes:
    """Return all bytes of a file."""
    try:
        with open(source, "rb") as file:
            return file.read()
    except (OSError, ValueError) as error:  # ValueError: a NUL character in the path
        name = quoted(source)
        name = name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]}..."
        raise InputError(f"{name}: {_refusal(source, error)}") from error


def _refusal(source: str, error: OSError | ValueError) -> str:
    """Say why a path cannot be opened and what to type instead."""
    folder = os.path.dirname(source)
    if isinstance(error, ValueError):
        return f"not a path ({error}), expected a text file; type: eventx tag FILE"
    if len(source.split()) > _MOST_WORDS and not os.path.exists(source):
        return "no such file, expected a text file; to tag a sentence itself: echo 'SENTENCE' | eventx tag -"
    if os.path.isdir(source):
        inside = quoted(os.path.join(source, ""))
        return f"a folder, expected a text file; give the files in it: eventx tag {inside}*.txt"
    if isinstance(error, PermissionError):
        return f"no permission to read it; become its reader: chmod u+r {quoted(source)}, or ask its owner"
    if isinstance(error, FileNotFoundError) and any(letter in source for letter in "*?["):
        return f"no file fits this pattern; see what is there: ls {quoted(folder or '.')}"
    if isinstance(error, FileNotFoundError) and folder and not os.path.isdir(folder):
        return f"no such file, nor is there a folder {quoted(folder)}; see where you are: pwd"
    if isinstance(error, FileNotFoundError):
        return f"no such file, expected a text file; see what is there: ls {quoted(folder or '.')}"
    return f"cannot be read ({_reason(error)}), expected a text file; see what it is: ls -ld {quoted(source)}"


def decode(data: bytes, source: str) -> tuple[str, str]:
    """Return the text that bytes hold, line ends included, and its encoding: "" for UTF-8.

    The byte order mark of UTF-8 stays in the text; those of UTF-16 and UTF-32 belong to the encoding and do not.

    Args:
        data: of a file.
        source: its path or `-`, for messages.

    Raises:
        InputError: if there is no text in it, or its encoding cannot be told.
    """
    name = "standard input" if source == STDIN else quoted(source)
    if not data:
        raise InputError(f"{name}: empty, nothing to tag; expected text")
    if not (wide := next((found for bom, found in _BOMS.items() if data.startswith(bom)), None) or _bare_utf16(data)):
        if _looks_binary(data) or data.startswith(tuple(_TEXT_LIKE_MAGIC)):
            raise InputError(f"{name}: {_binary(data, source)}")
        encoding = ""
    else:
        encoding = wide
    try:
        text = data.decode(encoding or "utf-8")
    except UnicodeDecodeError as error:
        if encoding:
            raise InputError(
                f"{name}: damaged {encoding} text at byte {error.start}; drop what is damaged: "
                f"{_iconv(encoding, source, '-c ')}"
            ) from error
        text, encoding = _eight_bits(data, error, source, name)
    if not text.lstrip("\ufeff").strip():
        raise InputError(f"{name}: only blanks, nothing to tag; expected text")
    return text, encoding


def _eight_bits(data: bytes, error: UnicodeDecodeError, source: str, name: str) -> tuple[str, str]:
    """Return the text of bytes in another encoding than UTF-8, and that encoding, as charset-normalizer tells it.

    Raises:
        InputError: if it does not, or is not installed, or the bytes are damaged UTF-8.
    """
    if _kind(data):
        raise InputError(f"{name}: {_binary(data, source)}") from error
    problem = _not_utf8(data, error, source)
    try:
        from charset_normalizer import from_bytes
    except ModuleNotFoundError:
        more = 'or let eventx tell encodings: pip install "eventx[encodings]"'
        raise InputError(f"{name}: {problem}; {more}") from error
    best = None if "damaged" in problem else from_bytes(data, cp_exclusion=["utf_8", "utf_7"]).best()
    if best is None or best.encoding.startswith("utf"):
        raise InputError(f"{name}: {problem}") from error
    # Western letters are all but the same in their many encodings; the web's is the one with the curly quotes.
    western = "Windows-1252" in problem
    encoding = "cp1252" if western else best.encoding
    return data.decode(encoding), encoding


def _looks_binary(data: bytes) -> bool:
    """Say whether `data` holds a NUL byte or more control characters than any text."""
    return b"\0" in data or len(data) - len(data.translate(None, _CONTROLS)) > _CONTROLS_IN_TEXT * len(data)


def _bare_utf16(data: bytes) -> str | None:
    """Return the UTF-16 flavour of Western text without a byte order mark, None for anything else."""
    head = data[:4096]
    for flavour, high, low in (("UTF-16LE", head[1::2], head[::2]), ("UTF-16BE", head[::2], head[1::2])):
        if len(high) > 1 and high.count(0) > 0.7 * len(high) and not _looks_binary(low):
            return flavour
    return None


def _kind(data: bytes) -> tuple[str, str] | None:
    """Return what the first bytes say that `data` is and what to type, None if they say nothing."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _IMAGE
    kind = next((found for magic, found in _MAGIC.items() if data.startswith(magic)), None)
    # A zip file's directory stands at its end and names the parts of a Word document.
    if kind == _ZIP and (b"word/document.xml" in data or b"opendocument.text" in data[:100]):
        return _WORD
    return kind


def _binary(data: bytes, source: str) -> str:
    """Say that `data` is no text, what it is if its first bytes tell, and what to type."""
    kind = _kind(data)
    if kind is None:
        at = data.find(b"\0")
        where = f"a NUL byte at byte {at}" if at >= 0 else "many control characters"
        told = "save it as text" if source == STDIN else f"see what it is: file {quoted(source)}"
        return f"looks binary ({where}), expected text; convert it to text first; {told}"
    what, command = kind
    file, stem = ("FILE", "FILE") if source == STDIN else (quoted(source), quoted(_without_ending(source)))
    remedy = command.format(file=file, stem=stem)
    return f"looks binary ({what}), expected text; convert it to text first: {remedy}"


def _not_utf8(data: bytes, error: UnicodeDecodeError, source: str) -> str:
    """Say where `data` stops being UTF-8, what it may be instead, and what to type."""
    where = f"not UTF-8 at byte {error.start} ({data[error.start]:#04x})"
    kept = data.decode("utf-8", "surrogateescape")
    bad = sum("\udc80" <= letter <= "\udcff" for letter in kept)
    good = sum(letter > "\x7f" for letter in kept) - bad
    cut_off = error.reason == "unexpected end of data"
    if good > bad or (good and cut_off):
        what = f"{bad} damaged byte{'s' * (bad != 1)} in UTF-8 text"
        return f"{where}: {what}; drop {'them' if bad != 1 else 'it'}: {_iconv('UTF-8', source, '-c ')}"
    if bad + good <= _HIGH_BYTES_IN_WESTERN * len(data) and _decodes(data, "cp1252"):
        return f"{where}, perhaps Latin-1 (Windows-1252); convert it: {_iconv('WINDOWS-1252', source)}"
    return f"{where}, in an encoding not recognised; convert it from the one you know: {_iconv('ENCODING', source)}"


def _decodes(data: bytes, encoding: str) -> bool:
    """Say whether `data` is valid in `encoding`."""
    try:
        data.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def _iconv(encoding: str, source: str, options: str = "") -> str:
    """Return the command that makes UTF-8 of `source`."""
    if source == STDIN:
        return f"iconv {options}-f {encoding} -t UTF-8 FILE | eventx tag -"
    return f"iconv {options}-f {encoding} -t UTF-8 {quoted(source)} > {quoted(_without_ending(source) + '.utf8.txt')}"


def _without_ending(source: str) -> str:
    """Return a path without the ending of its file name."""
    return os.path.splitext(source)[0]


def quoted(path: str) -> str:
    """Return `path` on one line, as a shell reads it: bare, in quotes, or as `$'...'` where it cannot be printed."""
    if path.startswith("-"):
        path = f"./{path}"
    if path.isprintable():
        return shlex.quote(path)
    return "$'" + "".join(map(_escaped, path)) + "'"


def _escaped(letter: str) -> str:
    """Return a letter as it stands between `$'` and `'`."""
    if letter in "\\'":
        return f"\\{letter}"
    if letter.isprintable():
        return letter
    errors = "surrogateescape" if "\udc80" <= letter <= "\udcff" else "surrogatepass"
    return "".join(f"\\x{byte:02x}" for byte in letter.encode("utf-8", errors))


def _reason(error: OSError) -> str:
    """Return the system's words for an error, without the path."""
    return error.strerror or type(error).__name__

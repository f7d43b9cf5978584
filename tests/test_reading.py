"""`reading`: what is read is read unchanged; what cannot be read says in one line what to type."""

from __future__ import annotations

import builtins
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from eventx.reading import Input, InputError, read_text

RANDOM = bytes((i * 167 + 89) % 255 + 1 for i in range(2000))


def refused(source: str | Path, stdin: bytes | None = None) -> str:
    """Return the message that `source` is refused with, after checking that it is one printable line."""
    with pytest.raises(InputError) as caught:
        read_text(str(source), None if stdin is None else io.BytesIO(stdin))
    message = str(caught.value)
    assert message.isprintable()
    return message


def refused_bytes(tmp_path: Path, data: bytes, name: str = "a.txt") -> str:
    """Return the message that a file of `data` is refused with."""
    path = tmp_path / name
    path.write_bytes(data)
    return refused(path)


@pytest.mark.parametrize(
    "text",
    [
        "A\r\nB\rC\n\n",
        "\ufeffRebels fled.\r\n",
        "🚁 strike\u00a0on\tAleppo",
        "e\u0301 \u2028 \u0085 \x0c",
        "\u0627\u0644",
        "\x1b[31mred\x1b[0m",
    ],
)
def test_text_is_unchanged(tmp_path: Path, text: str) -> None:
    """Line ends, a byte order mark and odd characters stay, as plain `open` with newline="" has them."""
    path = tmp_path / "report.v2.txt"
    path.write_bytes(text.encode())
    assert read_text(str(path)) == Input("report.v2", str(path), text)
    with path.open(encoding="utf-8", newline="") as file:
        assert file.read() == text
    assert read_text("-", io.BytesIO(text.encode())) == Input("stdin", "-", text)


def test_stdin_of_the_process() -> None:
    """Without a stream, `-` is the standard input of the process, and `rich` and `numpy` stay unloaded."""
    code = (
        "import sys; from eventx.reading import read_text; t = read_text('-').text.encode()\n"
        "assert not {'rich', 'numpy'} & set(sys.modules)\nsys.stdout.buffer.write(t)"
    )
    done = subprocess.run([sys.executable, "-c", code], input="a\r\nü".encode(), capture_output=True, check=True)
    assert done.stdout == "a\r\nü".encode()


def test_closed_and_broken_stdin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A standard input that is closed or cannot be read is an input error."""
    with (
        os.fdopen(os.open(tmp_path / "a", os.O_WRONLY | os.O_CREAT), "rb") as unreadable,
        pytest.raises(InputError, match="standard input cannot be read \\(Bad file descriptor\\)"),
    ):
        read_text("-", unreadable)
    monkeypatch.setattr(sys, "stdin", None)
    assert "is closed" in refused("-")


def test_missing(tmp_path: Path) -> None:
    """A missing file says where to look; a pattern and a sentence in its place are recognised."""
    assert "no such file" in (message := refused(tmp_path / "a.txt"))
    assert message.endswith(f"ls {tmp_path}")
    assert refused("nowhere.txt").endswith("ls .")
    assert f"nor is there a folder {tmp_path}/b;" in refused(tmp_path / "b" / "a.txt")
    assert "no file fits this pattern" in refused(tmp_path / "*.txt")
    assert "eventx tag -" in refused("Rebels fled the town on Monday.")
    assert len(refused("Rebels fled the town on Monday. " * 1000)) < 500
    assert refused("").startswith("'': no such file")


def test_folder_and_not_a_file(tmp_path: Path) -> None:
    """A folder tells to give the files in it, quoted so that the shell still expands them."""
    assert refused(tmp_path).endswith(f"eventx tag {tmp_path}/*.txt")
    (tmp_path / "my news").mkdir()
    assert refused(tmp_path / "my news").endswith(f"eventx tag '{tmp_path}/my news/'*.txt")
    (tmp_path / "a.txt").write_text("x")
    assert "cannot be read (Not a directory)" in refused(tmp_path / "a.txt" / "b.txt")
    assert "not a path" in refused("a\0b")
    assert "not a path" in refused("a\ud800b")


def test_no_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that may not be read says how to become its reader."""

    def forbid(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    (tmp_path / "a.txt").write_text("x")
    monkeypatch.setattr(builtins, "open", forbid)
    assert f"no permission to read it; become its reader: chmod u+r {tmp_path}/a.txt" in refused(tmp_path / "a.txt")


@pytest.mark.parametrize(
    ("data", "what"), [(b"", "empty"), (b" \r\n\t\xc2\xa0", "blanks"), (b"\xef\xbb\xbf\n", "blanks")]
)
def test_empty(tmp_path: Path, data: bytes, what: str) -> None:
    """Nothing, blanks and a lone byte order mark are nothing to tag."""
    assert what in (message := refused_bytes(tmp_path, data))
    assert "nothing to tag" in message
    assert refused("-", data).startswith("standard input: ")


@pytest.mark.parametrize(
    ("data", "what", "command"),
    [
        (b"%PDF-1.7\nall printable", "a PDF", "pdftotext {} {}.txt"),
        (b"{\\rtf1 Rebels fled}", "rich text", "soffice --headless --convert-to txt:Text {}"),
        (b"PK\x03\x04\x14\0" + RANDOM + b"word/document.xml", "a Word document", "soffice"),
        (b"PK\x03\x04\0\0mimetypeapplication/vnd.oasis.opendocument.text" + RANDOM, "a Word document", "soffice"),
        (b"PK\x03\x04" + RANDOM, "a zip archive", "unzip {}"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + RANDOM, "old Office document", "soffice"),
        (b"\x1f\x8b\x08" + RANDOM, "gzip", "gunzip -c {} | eventx tag -"),
        (b"\xff\xd8\xff\xe0" + b"\x90" * 99, "an image", "tesseract {} {}"),
        (b"\x89PNG\r\n\x1a\n" + RANDOM, "an image", "tesseract"),
        (b"RIFF\0\0\0\0WEBPVP8 " + RANDOM, "an image", "tesseract"),
        (b"text and then\0a NUL", "a NUL byte at byte 13", "file {}"),
        (RANDOM, "many control characters", "file {}"),
    ],
)
def test_binary(tmp_path: Path, data: bytes, what: str, command: str) -> None:
    """Binary files are named by their first bytes, with the command that makes text of them."""
    message = refused_bytes(tmp_path, data, "a")
    assert "looks binary" in message
    assert what in message
    assert command.format(tmp_path / "a", tmp_path / "a") in message
    assert what in refused("-", data)


@pytest.mark.parametrize(
    ("text", "encoding", "told"),
    [
        ("Rebels fled", "utf-16", "UTF-16"),
        ("Rebels fled 🚁", "utf-32", "UTF-32"),
        ("Rebels fled", "utf-16-le", "UTF-16LE"),
        ("Rebels fled", "utf-16-be", "UTF-16BE"),
        ("The caf\u00e9 fell", "latin-1", "cp1252"),
        ("\u201cWe fled\u201d, he said", "cp1252", "cp1252"),
        ("Бои за город продолжаются, сообщили власти. Жители бежали из города после обстрела.", "cp1251", "cp1251"),
    ],
)
def test_other_encodings_are_read_and_told(tmp_path: Path, text: str, encoding: str, told: str) -> None:
    """UTF-16 tells itself, 8-bit encodings are told by charset-normalizer."""
    (tmp_path / "a.txt").write_bytes(text.encode(encoding))
    found = read_text(str(tmp_path / "a.txt"))
    assert (found.text, found.encoding) == (text, told)


@pytest.mark.parametrize(
    ("data", "parts"),
    [
        ("The caf\u00e9 fell".encode("latin-1"), ["not UTF-8 at byte 7 (0xe9)", "Latin-1", "iconv -f WINDOWS-1252 -t"]),
        ("They left the caf\u00e9".encode("latin-1"), ["Latin-1"]),
        ("BMW, GIF, PK: caf\u00e9 fell".encode("latin-1"), ["Latin-1"]),
        ("\u201cWe fled\u201d, he said".encode("cp1252"), ["not UTF-8 at byte 0 (0x93)", "Latin-1 (Windows-1252)"]),
        ("Бои за город".encode("cp1251"), ["encoding not recognised", "iconv -f ENCODING -t"]),
    ],
)
def test_without_charset_normalizer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: bytes, parts: list[str]
) -> None:
    """Other encodings are guessed, with the place of the first wrong byte, the command that converts, and the extra."""
    monkeypatch.setitem(sys.modules, "charset_normalizer", None)
    message = refused_bytes(tmp_path, data)
    assert all(part in message for part in parts), message
    assert f" -t UTF-8 {tmp_path}/a.txt > {tmp_path}/a.utf8.txt; or let" in message
    assert message.endswith('pip install "eventx[encodings]"')
    assert " -t UTF-8 FILE | eventx tag -; or let" in refused("-", data)


@pytest.mark.parametrize(
    ("data", "parts"),
    [
        (
            "It\u2019s \u201cover\u201d".encode() + b" \xe9 he said",
            ["1 damaged byte in", "drop it: iconv -c -f UTF-8 -t"],
        ),
        ("It\u2019s \u201cover\u201d".encode()[:-1], ["2 damaged bytes in", "drop them"]),
        ("Rebels fled".encode("utf-16") + b"\0", ["damaged UTF-16", "iconv -c -f UTF-16 -t"]),
    ],
)
def test_damaged_text(tmp_path: Path, data: bytes, parts: list[str]) -> None:
    """Text with a few wrong bytes is not another encoding: the message says how to drop them."""
    message = refused_bytes(tmp_path, data)
    assert all(part in message for part in parts), message
    assert message.endswith(f" -t UTF-8 {tmp_path}/a.txt > {tmp_path}/a.utf8.txt")


@pytest.mark.parametrize(
    "name", ["a\nb \x1b[31m.txt", "it's 100%.txt", "caf\udce9 {stem}.txt", "-f\u202e\u00e9\t'\\.txt"]
)
def test_commands_run_as_typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Whatever a file is called, the message is one line and its command converts the file in a shell."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "charset_normalizer", None)
    Path(name).write_bytes(b"caf\xe9")
    command = refused(name).rpartition("convert it: ")[2].rpartition("; or let")[0]
    subprocess.run(["bash", "-c", command], check=True, timeout=10)
    assert read_text(os.path.splitext(name)[0] + ".utf8.txt").text == "café"

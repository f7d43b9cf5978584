"""The review page: nobody else gets in, and a whole round in a real browser ends as labels that check accepts."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("starlette")
pytest.importorskip("httpx")

from starlette.testclient import TestClient

from eventx import labels, review, reviewing
from eventx.reviewing import Desk, Mark, Work
from eventx.schema import SHIPPED

TEXT = "Troops stormed the town 🚁 and families fled north."


@pytest.fixture
def client(tmp_path):
    desk = Desk(tmp_path / "desk.sqlite", SHIPPED)
    mark = Mark(7, 14, "offensive", "asserted", "model", False, 0.7)
    desk.lay([Work(reviewing.article_of("a", TEXT, {}), (mark,))], order="unsure", model="m</script>")
    with TestClient(review.application(desk, "secret"), base_url="http://127.0.0.1:80") as client:
        yield client
    desk.close()


KEY = {"x-token": "secret"}


@pytest.mark.filterwarnings("ignore")
def test_nobody_else_gets_in(client):
    assert client.get("/").status_code == 403
    assert client.get("/?token=guess").status_code == 403
    assert client.get("/documents", headers={**KEY, "host": "evil.example"}).status_code == 403
    assert client.post("/documents/0", json={"version": 0, "act": {"do": "done"}}).status_code == 403
    page = client.get("/?token=secret")
    assert page.status_code == 200
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    nonce = re.search(r"nonce-([\w-]+)'", policy)[1]
    assert page.text.count(f'nonce="{nonce}"') == 2
    assert not re.search(r"https?://|src=|@import", page.text)
    assert "m</script>" not in page.text
    assert client.get("/?token=secret").headers["content-security-policy"] != policy


@pytest.mark.filterwarnings("ignore")
def test_acts_travel(client):
    sheet = client.get("/documents/0", headers=KEY).json()
    assert "".join(piece[0] for piece in sheet["pieces"]) == TEXT
    assert [piece[1:3] for piece in sheet["pieces"] if piece[0] == "fled"] == [[39, 43]]
    answer = client.post(
        "/documents/0", headers=KEY, json={"version": 0, "act": {"do": "accept", "start": 7, "end": 14}}
    )
    assert answer.json()["marks"][0]["accepted"]
    stale = client.post("/documents/0", headers=KEY, json={"version": 0, "act": {"do": "done"}})
    assert (stale.status_code, stale.json()["stale"]) == (409, True)
    wrong = client.post(
        "/documents/0", headers=KEY, json={"version": 1, "act": {"do": "add", "start": 1, "end": 2, "label": "x"}}
    )
    assert wrong.status_code == 400
    assert "no type" in wrong.json()["error"]
    assert client.post("/documents/0", headers=KEY, content=b"no json").status_code == 400
    assert client.post("/documents/0", headers=KEY, content=b"x" * 99_999).status_code == 413
    assert client.get("/documents/7", headers=KEY).status_code == 400
    undone = client.post("/documents/0", headers=KEY, json={"version": 1, "act": {"do": "undo"}}).json()
    assert not undone["marks"][0]["accepted"]


@pytest.fixture
def serve(tmp_path):
    """Return a function that starts the server and gives it and the page's address; all are stopped in the end."""
    begun = []

    def start(*words: str) -> tuple[subprocess.Popen, str]:
        command = [sys.executable, "-m", "eventx", "review", *words, "--no-open"]
        command += ["--desk", str(tmp_path / "desk.sqlite")]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=tmp_path)
        begun.append(process)
        for line in process.stdout:
            if found := re.search(r"http://\S+", line):
                return process, found[0]
        raise AssertionError("the server did not start")

    yield start
    for process in begun:
        process.kill()
        process.communicate()


def settle(page) -> None:
    """Wait until what was asked of the server is there."""
    page.wait_for_function("() => !busy")
    page.wait_for_timeout(60)


def press(page, *keys: str) -> None:
    """Press keys, each after what the one before asked for is there."""
    for key in keys:
        page.keyboard.press(key)
        settle(page)


def marks(page) -> list[list]:
    """Return the marks that the page shows."""
    return page.evaluate("sheet.marks.map(m => [m.start, m.end, m.label, m.modality, m.accepted])")


def said(page, words: str) -> None:
    """Wait until the page says something."""
    page.wait_for_function("words => document.getElementById('say').textContent.includes(words)", arg=words)


def correct_by_keyboard(page) -> None:
    """Accept three, change a type and a modality, move an edge out and back, delete one, undo that."""
    first = marks(page)
    press(page, "Enter", "Enter", "Enter", "5", "p", "r", "e", "Tab", "x", "z")
    now = marks(page)
    assert [mark[4] for mark in now[:3]] == [True, True, True]
    assert now[3] == [*first[3][:2], "warning", "possible", True]
    assert len(now) == len(first)


def correct_by_mouse(page) -> None:
    """Delete a mark, mark two words by dragging over them, and drag an edge of the new mark back to one."""
    first = marks(page)
    page.locator(".mark").nth(5).click()
    page.locator("#delete").click()
    settle(page)
    assert len(marks(page)) == len(first) - 1
    page.evaluate("window.scrollTo(0, 0)")
    plain = page.locator("#text > .w").all()
    numbers = [int(word.get_attribute("data-n")) for word in plain]
    letters = [word.inner_text().isalpha() for word in plain]
    follows = [numbers[at] == numbers[at - 1] + 1 and letters[at] and letters[at - 1] for at in range(len(plain))]
    at = next(at for at in range(20, len(plain)) if follows[at])
    plain[at].scroll_into_view_if_needed()
    drag(page, plain[at - 1].bounding_box(), plain[at].bounding_box())
    page.locator("#types button").nth(2).click()
    settle(page)
    known = [mark[:2] for mark in first]
    (added,) = [mark for mark in marks(page) if mark[:2] not in known]
    assert added[2:] == ["flight", "asserted", True]
    boxes = [word.bounding_box() for word in page.locator(".mark.here .w").all()]
    assert len(boxes) == 2
    drag(page, boxes[1], boxes[0])
    settle(page)
    (shorter,) = [mark for mark in marks(page) if mark[:2] not in known]
    assert shorter[0] == added[0]
    assert shorter[1] < added[1]


def drag(page, start: dict, end: dict) -> None:
    """Drag from the middle of one box to that of another."""
    (x, y), (u, v) = ((box["x"] + box["width"] / 2, box["y"] + box["height"] / 2) for box in (start, end))
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(u, v, steps=4)
    page.mouse.up()


def be_overtaken(browser, page, address: str) -> None:
    """Let another window act first: this one is told, and shows what is there now."""
    kept = marks(page)
    other = browser.new_page()
    other.goto(address)
    other.wait_for_selector(".mark")
    press(other, "x")
    page.keyboard.press("x")
    said(page, "another window")
    settle(page)
    assert len(marks(page)) == len(kept) - 1


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_whole_round_in_a_browser(tmp_path, seeds, tiny_folder, serve):
    playwright = pytest.importorskip("playwright.sync_api")
    chromium = next((p for p in ("/usr/bin/chromium", "/usr/bin/chromium-browser") if Path(p).exists()), None)
    if chromium is None:
        pytest.skip("no Chromium here")
    (tmp_path / "news").mkdir()
    for path in seeds[:2]:
        (tmp_path / "news" / path.name).write_bytes(path.read_bytes())
    server, address = serve("news", "--model", str(tiny_folder), "--order", "given")
    faults, asked = [], []
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1600, "height": 1000})
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(address)
        page.wait_for_selector(".mark")
        correct_by_keyboard(page)
        correct_by_mouse(page)
        # Reload, kill the server, open again: everything is there.
        kept = marks(page)
        page.reload()
        page.wait_for_selector(".mark")
        assert marks(page) == kept
        server.kill()
        server.wait()
        page.keyboard.press("d")
        said(page, "does not answer")
        server, address = serve()
        page.goto(address)
        page.wait_for_selector(".mark")
        assert marks(page) == kept
        be_overtaken(browser, page, address)
        # Done with both; a narrow screen holds the whole page.
        press(page, "d")
        page.wait_for_function("() => sheet.place === 1")
        page.set_viewport_size({"width": 360, "height": 740})
        assert page.evaluate("document.documentElement.scrollWidth <= 360")
        page.locator("#done").click()
        settle(page)
        browser.close()
    assert faults == []
    assert all(url.startswith("http://127.0.0.1") for url in asked)
    command = [sys.executable, "-m", "eventx", "review", "--desk", "desk.sqlite", "--export", "mine.jsonl"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "2 documents" in done.stdout
    assert labels.check([tmp_path / "mine.jsonl"]) == []
    assert labels.read(tmp_path / "mine.jsonl")[0].source["review"]["order"] == "given"

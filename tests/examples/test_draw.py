"""The page to draw on: its server, and the page itself in a real browser, drawn on with test digits."""

from __future__ import annotations

import argparse
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from digit_strokes import strokes_of

import autodiff as ad
from examples.mnist import draw, networks, train
from examples.mnist.look import looked
from nn import checkpoint
from nn.datasets import MNIST

pytest.importorskip("safetensors")

ROOT = Path(__file__).parents[2]
DIGITS = MNIST(ROOT / "examples" / "mnist" / "data", train=False)
STROKES = [strokes_of(image) for image in DIGITS.data.array[:60]]
LABELS = DIGITS.targets.array[:60]


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """The folder of a run that has learnt something."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    flags = "--hidden 64 --limit 12000 --epochs 2 --optimizer adam --no-pictures"
    assert train.main([*flags.split(), "--out", str(folder)]) == 0
    return folder


@pytest.fixture(scope="module")
def network(run) -> networks.Trained:
    return networks.trained(run)


@pytest.fixture(scope="module")
def serving(network):
    with draw.server(network, 0) as serving:
        thread = threading.Thread(target=serving.serve_forever, args=(0.01,))
        thread.start()
        yield serving
        serving.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def served(serving) -> str:
    return f"http://127.0.0.1:{serving.server_port}/"


@pytest.fixture(scope="module")
def alone(run) -> str:
    path = run / "a page" / "digits.html"
    assert draw.main(["--from", str(run), "--html", str(path)]) == 0
    return path.as_uri()


# ---- what the network makes of a picture ---------------------------------------------------------


@pytest.mark.parametrize("model", networks.MODELS)
def test_a_look_is_the_networks_own(model):
    net = networks.built(model, [30, 20] if model == "mlp" else None).eval()
    network = networks.Trained(net, model, "", "mnist", Path(), 1)
    pixels = np.random.default_rng(1).integers(0, 256, (28, 28), np.uint8)  # without ties, unlike a digit
    look = looked(network, pixels, of=4)
    x = ad.tensor(pixels / 255, dtype=ad.float32).reshape(1, 1, 28, 28)
    logits = net((x - 0.1307) / 0.3081)[0]
    np.testing.assert_allclose(look.probabilities, ad.softmax(logits, 0).detach().numpy(), rtol=1e-5)
    shapes = {"mlp": [(30,), (20,)], "linear": [], "lenet": [(6, 28, 28), (16, 10, 10), (120,), (84,)]}
    assert [a.shape for a in look.hidden] == shapes[model] and all((a >= 0).all() for a in look.hidden)
    assert looked(network, pixels).of == int(logits.argmax())
    step = np.random.default_rng(0).standard_normal((28, 28))
    for layer in net.double().modules():  # for finite differences
        assert all(p.dtype == np.float64 for p in layer.parameters())
    sides = [
        net((ad.tensor(pixels / 255 + e * step).reshape(1, 1, 28, 28) - 0.1307) / 0.3081)[0, 4].item()
        for e in (1e-6, -1e-6)
    ]
    assert (look.saliency * step).sum() == pytest.approx((sides[0] - sides[1]) / 2e-6, rel=1e-3)
    assert not any(module._forward_hooks for module in net.modules())


# ---- the server ----------------------------------------------------------------------------------


def asked(serving, method, path, body=None, headers=None):
    connection = http.client.HTTPConnection("127.0.0.1", serving.server_port, timeout=60)
    connection.request(method, path, body, headers or {})
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer, content


def test_it_answers_with_what_the_engine_says(serving, network):
    pixels = DIGITS.data.array[3]
    body = json.dumps({"pixels": pixels.reshape(-1).tolist(), "digit": 8})
    answer, content = asked(serving, "POST", "/look", body)
    found, look = json.loads(content), looked(network, pixels, 8)
    assert answer.status == 200 and answer.getheader("Content-Type") == "application/json"
    assert found["probabilities"] == look.probabilities.tolist() and found["of"] == 8
    np.testing.assert_allclose(found["saliency"], look.saliency.reshape(-1), rtol=1e-3)
    assert [each["shape"] for each in found["hidden"]] == [[64]]


def test_the_page_loads_nothing_from_elsewhere(serving, alone):
    for path, (_, kind) in draw.FILES.items():
        answer, content = asked(serving, "GET", path)
        assert answer.status == 200 and answer.getheader("Content-Type").startswith(kind)
        assert "default-src 'self'" in answer.getheader("Content-Security-Policy")
        assert not re.search(rb"https?:|//\w+\.", content.replace(b"// ", b""))
    text = Path(alone.removeprefix("file://").replace("%20", " ")).read_text(encoding="utf-8")
    assert not re.search(r"https?:|src=|<link rel=.stylesheet", text)


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"[]", b"\xff", b'{"pixels": 3}', b'{"pixels": [0]}',
        json.dumps({"pixels": [256] + [0] * 783}), json.dumps({"pixels": [True] * 784}),
        json.dumps({"pixels": [0] * 784, "digit": 10}), json.dumps({"pixels": [0] * 784, "digit": "1"}),
        b" " * (draw.LONGEST + 1),
    ],
)  # fmt: skip
def test_what_is_no_picture_is_refused(serving, body):
    answer, content = asked(serving, "POST", "/look", body)
    assert answer.status == 400 and content.startswith(b"not a picture: ") and len(content) < 300


def test_nothing_else_is_served(serving):
    for method, path in (("GET", "/look"), ("GET", "/../draw.py"), ("GET", "/draw.py"), ("POST", "/")):
        assert asked(serving, method, path, b"")[0].status == 404
    for path in ("/", "/look"):  # as a page under another name that leads to this machine would ask
        method = "POST" if path == "/look" else "GET"
        assert asked(serving, method, path, b"", {"Host": "elsewhere.example"})[0].status == 403


def test_a_busy_port_moves_on_to_the_next(network, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = busy.getsockname()[1]
        if port == 65535:
            pytest.skip("there is no next port")
        with draw.server(network, port) as serving:
            assert serving.server_address[0] == "127.0.0.1" and port < serving.server_port < port + draw.PORTS
        monkeypatch.setattr(draw, "PORTS", 1)
        with pytest.raises(SystemExit):
            draw.server(network, port)


@pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")
def test_ctrl_c_ends_it(run):
    process = subprocess.Popen(
        [sys.executable, "-m", "examples.mnist", "draw", "--from", str(run), "--port", "0"],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    line = process.stdout.readline()
    host, port = re.match(r"http://([\d.]+):(\d+)/", line).groups()
    with socket.create_connection((host, int(port)), timeout=60):  # somebody who says nothing
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 0 and err.endswith("stopped\n") and "Traceback" not in err


def test_a_connection_that_was_closed_here_is_no_error(serving, capfd):
    """As by Ctrl-C, between the start of a request's thread and its first reading."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        for closed in (False, True):
            if closed:
                ours.close()
            try:
                raise OSError(9, "Bad file descriptor")
            except OSError:
                serving.handle_error(ours, ("127.0.0.1", 1))
            assert ("Bad file descriptor" in capfd.readouterr().err) is not closed


def test_what_cannot_be_drawn_on_is_said(run, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    lenet = {"model": "lenet", "hidden": None, "dataset": "mnist"}
    weights = networks.built("lenet", None).state_dict()
    checkpoint.save(
        Path("lenet") / networks.STATE, {"model": weights, "progress": {"epoch": 1}, "network": lenet}
    )
    for argv, words in (
        ([], "there is no trained network under"),
        (["--from", "nowhere"], "python -m examples.mnist --out nowhere"),
        (["--from", str(run / "config.json")], "not a safetensors file"),
        (["--port", "65536"], "not a port"),
        (["--from", str(run), "--html", str(run / "config.json" / "x.html")], "config.json"),
        (["--from", "lenet", "--html", "x.html"], "this network is a lenet"),
    ):
        with pytest.raises(SystemExit) as stopped:
            draw.main(argv)
        said = capsys.readouterr().err
        assert stopped.value.code == 2 and words in said and "Traceback" not in said
    assert not Path("x.html").exists()


# ---- the page in a browser -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def browser():
    api = pytest.importorskip(
        "playwright.sync_api", reason="playwright is not installed: pip install -e '.[browser]'"
    )
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    program = next(filter(None, map(shutil.which, names)), None)
    if program is None:
        pytest.skip(f"no browser is installed: none of {', '.join(names)} is there")
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"] if root else [])
        yield browser
        browser.close()


@pytest.fixture
def opened(browser):
    """Opens the page in a window of this width; at the end, nothing may have gone wrong in it."""
    contexts, wrong = [], []

    def at(url, width=1280, **options):
        context = browser.new_context(viewport={"width": width, "height": 900}, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: wrong.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on(
            "request", lambda request: request.url.startswith(("data:", url)) or wrong.append(request.url)
        )
        page.goto(url)
        return page

    yield at
    for context in contexts:
        context.close()
    assert wrong == []


def drawn(page, strokes):
    """The strokes, in pixels of 28, drawn by the mouse: the page's pixels, and its answer to them."""
    box = page.locator("#pad").bounding_box()
    for stroke in strokes:
        for k, (x, y) in enumerate(stroke):
            page.mouse.move(
                box["x"] + (x + 0.5) / 28 * box["width"], box["y"] + (y + 0.5) / 28 * box["height"]
            )
            if k == 0:
                page.mouse.down()
        page.mouse.up()
    return settled(page)


def wait_until(page, expression):
    """Asked from here: the page's policy forbids it to evaluate text."""
    for _ in range(600):
        if page.evaluate(expression):
            return
        page.wait_for_timeout(50)
    raise TimeoutError(f"not within 30 seconds: {expression}")


def settled(page):
    wait_until(page, "!asking && !changed")
    shown = page.evaluate(
        "({ ...shown, pixels: Array.from(shown.pixels), saliency: Array.from(shown.saliency ?? []),"
        " hidden: shown.hidden?.map((layer) => Array.from(layer.values)) })"
    )
    return np.array(shown.pop("pixels"), np.uint8).reshape(28, 28), argparse.Namespace(**shown)


def rounded_to_halves(network):
    """The network with the weights that a stand-alone page holds."""
    net = networks.built(network.name, [64])
    halves = {name: w.numpy().astype(np.float16) for name, w in network.model.state_dict().items()}
    net.load_state_dict({name: ad.tensor(w.astype(np.float32)) for name, w in halves.items()})
    return network._replace(model=net)


def test_drawn_digits_are_seen_as_the_engine_sees_them(opened, served, alone, network):
    """Served and alone: one picture, the engine's probabilities, hidden units and gradient for it."""
    pages, right = [opened(served), opened(alone)], 0
    own = rounded_to_halves(network)
    for strokes, label in zip(STROKES[:6], LABELS, strict=False):
        (pixels, there), (again, here) = (drawn(page, strokes) for page in pages)
        np.testing.assert_array_equal(pixels, again)
        look = looked(network, pixels)
        np.testing.assert_allclose(there.probabilities, look.probabilities, rtol=1e-6)
        np.testing.assert_allclose(there.saliency, look.saliency.reshape(-1), rtol=1e-3)
        exact = looked(own, pixels)
        np.testing.assert_allclose(here.probabilities, exact.probabilities, atol=1e-5)
        np.testing.assert_allclose(here.saliency, exact.saliency.reshape(-1), atol=1e-4)
        np.testing.assert_allclose(here.hidden[0], exact.hidden[0], atol=1e-4)
        np.testing.assert_allclose(here.probabilities, there.probabilities, atol=0.02)
        for page in pages:
            text = page.inner_text("#verdict strong")
            assert text == str(int(np.argmax(there.probabilities)))
            page.click("#clear")
        right += text == str(label)
    assert right >= 4


def test_most_of_sixty_digits_are_read_and_all_are_placed_as_mnist_places_them(opened, alone):
    page = opened(alone)
    answers = page.evaluate(
        """all => all.map((strokes) => {
            const pixels = picture(strokes);
            return [Array.from(pixels), looked(inside, pixels, null).of];
        })""",
        STROKES,
    )
    assert np.mean([of == label for (_, of), label in zip(answers, LABELS, strict=True)]) > 0.85
    for pixels, _ in answers:
        ink = np.array(pixels, float).reshape(28, 28)
        rows, columns = (np.flatnonzero(ink.sum(axis) > 0) for axis in (1, 0))
        assert max(np.ptp(rows), np.ptp(columns)) + 1 in (20, 21, 22)  # faint edges included
        for axis in (0, 1):
            assert ink.sum(1 - axis) @ np.arange(28) / ink.sum() == pytest.approx(14, abs=0.3)
    mean = np.mean([pixels for pixels, _ in answers]) / 255
    assert mean == pytest.approx(0.1307, abs=0.02)  # as much ink as MNIST's


def test_odd_drawings(opened, alone):
    page = opened(alone)
    see = "strokes => Array.from(picture(strokes))"
    assert page.evaluate(see, []) == [0] * 784
    dot, far, line = (
        np.array(page.evaluate(see, strokes)).reshape(28, 28)
        for strokes in ([[[0.2, 0.7]]], [[[-5, 9], [-5, 9]]], [[[0.5, 0.1], [0.5, 0.9]]])
    )
    assert 4 < (dot > 0).sum() < 20 and (dot == far).all()
    assert line.any(0).sum() <= 4 and (line > 250).any(1).sum() >= 18


def test_by_touch(opened, alone, served):
    for url in (alone, served):
        page = opened(url, 360, has_touch=True, is_mobile=True, device_scale_factor=2)
        box, fingers = page.locator("#pad").bounding_box(), page.context.new_cdp_session(page)
        for stroke in STROKES[0]:
            for k, (x, y) in enumerate(stroke):
                at = {"x": box["x"] + x / 28 * box["width"], "y": box["y"] + y / 28 * box["height"]}
                kind = "touchMove" if k else "touchStart"
                fingers.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [at]})
            fingers.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        _, found = settled(page)
        assert int(np.argmax(found.probabilities)) == LABELS[0] == 7
        assert page.evaluate("scrollY") == 0  # the finger drew, and moved nothing else


def test_by_keyboard_undo_and_clear(opened, alone):
    page = opened(alone)
    assert page.is_disabled("#undo") and page.is_disabled("#clear") and page.is_visible("#how")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "pad"
    for key in ["ArrowUp"] * 8 + ["Space"] + ["ArrowDown"] * 16 + ["Space"]:
        page.keyboard.press(key)
    _, found = settled(page)
    assert int(np.argmax(found.probabilities)) == 1 and not page.is_visible("#how")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")  # why not a 1, but the second one?
    assert settled(page)[1].of == 1
    assert page.get_attribute("#bars button:nth-child(2)", "aria-pressed") == "true"
    wait_until(page, "document.getElementById('spoken').textContent.startsWith('1')")
    drawn(page, [[(3, 3), (9, 9)]])
    assert page.evaluate("strokes.length") == 2
    page.keyboard.press("Control+z")
    assert page.evaluate("strokes.length") == 1
    page.click("#undo")
    pixels, _ = settled(page)
    assert not pixels.any() and page.is_disabled("#undo")
    drawn(page, [[(3, 3), (9, 9)]])
    page.focus("#pad")
    page.keyboard.press("Delete")
    assert not settled(page)[0].any() and page.inner_text("#verdict") == "nothing yet"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 800, 1280])
def test_it_fits_and_can_be_read(opened, alone, width, scheme):
    page = opened(alone, width, color_scheme=scheme)
    drawn(page, STROKES[4])
    assert page.evaluate("document.documentElement.scrollWidth") == width
    boxes = [page.locator(name).bounding_box() for name in ("#pad", "#verdict", "#seen", "#saliency")]
    assert all(box["x"] >= 0 and box["x"] + box["width"] <= width for box in boxes)
    assert all(box["width"] > 100 for box in boxes)
    contrasts = page.evaluate(
        """() => {
            const numbers = (colour) => colour.match(/[\\d.]+/g).map(Number);
            const light = (colour) => numbers(colour).slice(0, 3).map((c) => c / 255)
                .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
                .reduce((sum, c, k) => sum + c * [0.2126, 0.7152, 0.0722][k], 0);
            const ground = (element) => {
                const colour = getComputedStyle(element).backgroundColor;
                return element.parentElement && numbers(colour)[3] === 0 ? ground(element.parentElement) : colour;
            };
            return [...document.querySelectorAll("h1, h2, p, small, b, span, strong, footer, button")]
                .filter((each) => each.innerText?.trim() && each.offsetParent && !each.disabled)
                .map((each) => [light(getComputedStyle(each).color), light(ground(each)), each.innerText])
                .map(([a, b, text]) => [(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), text]);
        }"""
    )
    assert len(contrasts) > 20
    assert min(contrasts)[0] >= 4.5, min(contrasts)  # WCAG 2, level AA


def test_when_the_server_is_gone(browser, served):
    context = browser.new_context()
    page = context.new_page()
    page.goto(served)
    context.set_offline(True)
    drawn(page, STROKES[0])
    assert "Is it still running?" in page.inner_text("#verdict")
    context.set_offline(False)
    _, found = drawn(page, [[(3, 3), (9, 9)]])
    assert len(found.probabilities) == 10 and "running" not in page.inner_text("#verdict")
    context.close()


def test_weights_too_large_for_the_page_are_refused():
    with pytest.raises(ValueError, match="16-bit floats, and this network has one of 7e.04"):
        draw.halves(ad.tensor([1.0, -7e4]))
    assert draw.halves(ad.tensor([1.0])) == "ADw="

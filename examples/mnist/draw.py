"""`python -m examples.mnist draw`: a page to draw a digit on, and see what the network makes of it.

Served on 127.0.0.1, where every answer and its gradient come from the engine, or (`--html FILE`) one
stand-alone file with the weights inside, which computes them itself.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np

import nn
from examples.mnist.look import looked
from examples.mnist.networks import DATASETS, Trained, trained
from examples.mnist.train import Parser, notice, number, stop
from nn import checkpoint

PAGE = Path(__file__).resolve().parent / "page"
FILES = {
    "/": ("index.html", "text/html"), "/style.css": ("style.css", "text/css"),
    "/picture.js": ("picture.js", "text/javascript"), "/network.js": ("network.js", "text/javascript"),
    "/page.js": ("page.js", "text/javascript"),
}  # fmt: skip
HOST, PORTS = "127.0.0.1", 20  # how many ports are tried
LONGEST = 1 << 16  # bytes of a question; one has less than 4,000

DESCRIPTION = """\
A page to draw a digit on, with mouse, finger or pen, and see live what a trained network makes of it:
the 28 x 28 pixels that it sees, the probabilities, its hidden units, and the gradient of the answer by
each pixel."""

port_number = number(int, lambda n: 0 <= n < 65536, "a port: a whole number from 0 to 65535")


def command_line() -> argparse.ArgumentParser:
    """The flags."""
    parser = Parser(
        prog="python -m examples.mnist draw", usage="%(prog)s [--flag value ...]",
        description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    add = parser.add_argument
    add("--from", dest="where", type=Path, metavar="RUN",
        help="the folder of the run whose network reads (default: the last one under runs/)")  # fmt: skip
    add("--port", type=port_number, default=8000, metavar="N",
        help="where to serve; a busy one moves on to the next, 0 takes any (default 8000)")  # fmt: skip
    add("--html", type=Path, metavar="FILE",
        help="write one HTML file with the weights inside instead, which needs no server "
        "(for mlp and linear)")  # fmt: skip
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the program; returns its exit status."""
    args = command_line().parse_args(argv)
    try:
        network = trained(args.where)
        if args.html:
            return write(network, args.html)
    except (OSError, ValueError, ImportError) as error:
        stop(str(error))
    with server(network, args.port) as serving:
        try:
            notice(f"the network of {network.path}: {about(network)}")
            print(f"http://{HOST}:{serving.server_port}/  (Ctrl-C ends it)", flush=True)
            serving.serve_forever()
        except KeyboardInterrupt:
            notice("\nstopped")
    return 0


def about(network: Trained) -> str:
    """What the network is, in a line."""
    epochs = f"{network.epochs} epoch{'s' if network.epochs != 1 else ''}"
    return f"{network.shape}, trained for {epochs} on {network.dataset}"


# ---- the page ------------------------------------------------------------------------------------


def page(network: Trained, origin: str, **inside: Any) -> str:
    """index.html, told about its network."""
    described = about(network).replace("->", "→")
    known = {"classes": network.classes, "about": described, "origin": origin, **inside}
    text = (PAGE / "index.html").read_text(encoding="utf-8")
    return text.replace(">{}<", f">{json.dumps(known).replace('<', chr(92) + 'u003c')}<")


def alone(network: Trained) -> str:
    """The page as one file that asks nobody: style and programs inside, and the weights as 16-bit
    floats in base64. ValueError for a network with other layers than its JavaScript knows."""
    if network.name == "lenet":
        raise ValueError(
            "the stand-alone page computes linear layers and ReLU only, and this network is a lenet. "
            "Leave out --html to have it served, or train an mlp"
        )
    layers = [
        {"weight": halves(layer.weight), "bias": halves(layer.bias)}
        for layer in network.model
        if isinstance(layer, nn.Linear)
    ]
    _, mean, std = DATASETS[network.dataset]
    size = sum(len(text) for layer in layers for text in layer.values())
    origin = (
        "Everything is computed in this file, forward and backward; nothing is loaded or sent. "
        f"Its weights are 16-bit floats: {size / 1e6:.2f} MB."
    )
    text = page(network, origin, layers=layers, mean=mean, std=std)
    policy = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"
    text = text.replace(
        "<head>\n", f'<head>\n<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
    )
    for name, kind in list(FILES.values())[1:]:
        content = (PAGE / name).read_text(encoding="utf-8")
        if kind == "text/css":
            text = text.replace(f'<link rel="stylesheet" href="{name}">', f"<style>\n{content}</style>")
        else:
            text = text.replace(f'<script src="{name}"></script>', f"<script>\n{content}</script>")
    return text


def halves(parameter: Any) -> str:
    """As 16-bit floats, least significant byte first, in base64. ValueError for what is too large for them."""
    numbers = parameter.detach().numpy()
    largest = np.abs(numbers).max(initial=0)
    if largest > np.finfo("<f2").max:
        raise ValueError(
            f"the stand-alone page has its weights as 16-bit floats, and this network has one of {largest:.3g}: its "
            "training went astray. Leave out --html to have it served, or train one with a smaller --lr"
        )
    return base64.b64encode(numbers.astype("<f2").tobytes()).decode()


def write(network: Trained, path: Path) -> int:
    """Write the stand-alone page; the exit status."""
    content = alone(network).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    checkpoint.write_atomically(path, content)
    notice(f"the network of {network.path}: {about(network)}")
    print(f"{path}: {len(content) / 1e6:.2f} MB, to be opened in any browser")
    return 0


# ---- the server ----------------------------------------------------------------------------------


class Server(ThreadingHTTPServer):
    """Serves the page, and looks where it is asked to; one look at a time."""

    daemon_threads = True  # Ctrl-C waits for nobody
    allow_reuse_address = os.name == "posix"  # elsewhere it would take a port from another program

    def __init__(self, port: int, network: Trained):
        super().__init__((HOST, port), Handler)
        self.network, self.looking = network, threading.Lock()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that has had enough is no error, nor is Ctrl-C while a request is taken up, which closes it."""
        if not isinstance(sys.exception(), ConnectionError) and request.fileno() >= 0:
            super().handle_error(request, client_address)


def server(network: Trained, port: int) -> Server:
    """At this port, or the next one that is free."""
    for candidate in range(port, min(port + PORTS, 65536)) if port else [0]:
        try:
            return Server(candidate, network)
        except OSError as error:
            last = error
    stop(f"no port from {port} to {candidate} is free ({last}): choose another one with --port")


class Handler(BaseHTTPRequestHandler):
    """Answers one browser."""

    protocol_version = "HTTP/1.1"
    server: Server  # type: ignore[assignment]

    def do_GET(self) -> None:
        """The page, and what belongs to it."""
        if not self.asked_here():
            return
        if self.path not in FILES:
            return self.send_error(404)
        name, kind = FILES[self.path]
        if name == "index.html":
            content = page(self.server.network, "Every answer and its gradient are computed by autodiff.")
        else:
            content = (PAGE / name).read_text(encoding="utf-8")
        self.answer(content, f"{kind}; charset=utf-8")

    def do_POST(self) -> None:
        """What the network makes of a picture."""
        if not self.asked_here():
            return
        if self.path != "/look":
            return self.send_error(404)
        try:
            length = int(self.headers.get("Content-Length", ""))
            if not 0 <= length <= LONGEST:
                raise ValueError(f"a question of {length} bytes")
            pixels, of = question(self.rfile.read(length), len(self.server.network.classes))
        except ValueError as error:
            self.close_connection = True  # there may be more of it
            return self.answer(f"not a picture: {error}", "text/plain; charset=utf-8", 400)
        with self.server.looking:
            look = looked(self.server.network, pixels, of)
        self.answer(json.dumps({
            "probabilities": look.probabilities.tolist(),
            "hidden": [{"shape": a.shape, "values": rounded(a)} for a in look.hidden],
            "of": look.of,
            "saliency": rounded(look.saliency),
        }), "application/json")  # fmt: skip

    def asked_here(self) -> bool:
        """Not by a page of somebody else's, under a name of its own that leads here."""
        here = self.headers.get("Host", "").partition(":")[0] in (HOST, "localhost")
        if not here:
            self.send_error(403)
        return here

    def answer(self, content: str, kind: str, status: int = 200) -> None:
        """Send this text."""
        body = content.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("Content-Security-Policy", "default-src 'self'; img-src data:")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Requests are not announced."""


def question(body: bytes, classes: int) -> tuple[np.ndarray, int | None]:
    """The picture, and the class to explain; ValueError if it is not one."""
    asked = json.loads(body)
    if not isinstance(asked, dict) or not isinstance(asked.get("pixels"), list):
        raise ValueError("expected an object with a list of pixels")
    pixels, of = asked["pixels"], asked.get("digit")
    if len(pixels) != 784 or not all(type(p) is int and 0 <= p <= 255 for p in pixels):
        raise ValueError("expected 784 pixels from 0 to 255")
    if of is not None and not (type(of) is int and 0 <= of < classes):
        raise ValueError(f"expected a digit below {classes} or null")
    return np.array(pixels, np.uint8).reshape(28, 28), of


def rounded(array: np.ndarray) -> list[float]:
    """To what a screen can show."""
    return [float(f"{x:.4g}") for x in array.reshape(-1).tolist()]

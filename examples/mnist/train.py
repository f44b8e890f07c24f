"""Train a network on MNIST, keep what happened, and go on after an interruption."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent))  # our `examples`, whoever else has a package so called

import autodiff as torch  # noqa: E402
import nn  # noqa: E402
from nn import checkpoint, optim, transforms  # noqa: E402
from nn.data import DataLoader, Subset  # noqa: E402
from nn.datasets import MNIST, FashionMNIST  # noqa: E402
from nn.optim.lr_scheduler import StepLR  # noqa: E402
from nn.training import Callback, Progress, evaluate, fit  # noqa: E402

STATISTICS = {"mnist": (0.1307, 0.3081), "fashion-mnist": (0.2860, 0.3530)}
SAVE_EVERY = 10.0  # seconds between checkpoints within an epoch
REMEMBERED = (  # what a resumed run must have in common with the one it goes on with
    "batch_size", "lr", "gamma", "seed", "optimizer", "momentum", "hidden", "dataset", "limit",
)  # fmt: skip


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(
        prog="python -m examples.mnist",
        description="Train a multilayer perceptron on MNIST. Without any flag it is the classic "
        "program: 784 inputs, 512 hidden units with ReLU, 10 classes, cross-entropy, plain SGD, "
        "ten epochs; it ends at about 96.7 %% of the test digits right.",
        epilog="To pass 98 %%: --optimizer adam --lr 0.001, or --momentum 0.9. To go on after "
        "Ctrl-C: --resume with the folder that was printed.",
    )
    n = p.add_argument
    n("--batch-size", type=int, default=64, metavar="N", help="images a training step (64)")
    n("--test-batch-size", type=int, default=1000, metavar="N", help="images a test step (1000)")
    n("--epochs", type=int, default=10, metavar="N", help="times through the training set (10)")
    n("--lr", type=float, default=0.01, metavar="LR", help="learning rate: the step's length (0.01)")
    n("--gamma", type=float, default=1.0, metavar="G", help="factor on the rate after each epoch (1: no decay)")
    n("--dry-run", action="store_true", help="a single batch, to see that all works")
    n("--seed", type=int, default=1, metavar="S", help="of all that is random (1)")
    n("--log-interval", type=int, default=0, metavar="N", help="a line each N batches (none)")
    n("--save-model", action="store_true", help="also write the weights alone: model.safetensors")
    n("--optimizer", choices=("sgd", "adam", "adamw"), default="sgd", help="how weights are moved (sgd)")
    n("--momentum", type=float, default=0.0, metavar="M", help="of SGD: share of the last step kept (0)")
    n("--hidden", type=int, nargs="*", default=[512], metavar="N", help="sizes of the hidden layers (512)")
    n("--dataset", choices=tuple(STATISTICS), default="mnist", help="digits or clothes (mnist)")
    n("--data", type=Path, metavar="DIR", help="where the four files are (the repository's)")
    n("--out", type=Path, metavar="DIR", help="the run's own folder (a new one under runs/)")
    n("--resume", type=Path, metavar="DIR", help="go on with the run in this folder")
    n("--threads", type=int, metavar="N", help="processor threads (all that are allowed)")
    n("--limit", type=int, metavar="N", help="train on the first N images only")
    n("--target-accuracy", type=float, metavar="P", help="exit with status 1 below P per cent")
    return p


def note(text: str) -> None:
    """A notice: not a result, so not on stdout."""
    print(text, file=sys.stderr, flush=True)


def folder_for(args: argparse.Namespace) -> Path:
    """The run's folder: new, unless it is one to go on with."""
    if args.resume is not None:
        args.resume.mkdir(parents=True, exist_ok=True)
        return args.resume
    if args.out is None:
        stamp = datetime.now().strftime("%Y%m%d-%H%M%S")
        for k in range(1000):
            folder = Path("runs") / (f"mnist-{stamp}" + (f"-{k}" if k else ""))
            try:
                folder.mkdir(parents=True)
            except FileExistsError:
                continue
            return folder
    if args.out.exists() and any(args.out.iterdir()):
        sys.exit(
            f"{args.out} holds a run already, which is never overwritten: choose another folder, or "
            f"go on with it by --resume {args.out}"
        )
    args.out.mkdir(parents=True, exist_ok=True)
    return args.out


class Keeper(Callback):
    """Checkpoints: after each epoch, and within one every so many seconds."""

    def __init__(self, folder: Path, parts: dict[str, Any], config: dict[str, Any]):
        self.path, self.parts, self.config = folder / "checkpoint.safetensors", parts, config
        self.saved = time.monotonic()

    def save(self, progress: Progress) -> None:
        state = {name: part.state_dict() for name, part in self.parts.items()}
        state |= {
            "progress": progress.state_dict(),
            "random": torch.get_rng_state(),
            "config": self.config,
        }
        checkpoint.save(self.path, state)
        self.saved = time.monotonic()

    def restore(self, progress: Progress) -> None:
        state = checkpoint.load(self.path)
        for name, part in self.parts.items():
            part.load_state_dict(state[name])
        progress.load_state_dict(state["progress"])
        if not progress.batch:  # between epochs, the random numbers go on from where they stood
            torch.set_rng_state(state["random"])

    def on_batch_end(self, progress: Progress) -> None:
        if time.monotonic() - self.saved > SAVE_EVERY:
            self.save(progress)

    def on_epoch_end(self, progress: Progress, metrics: dict[str, float]) -> None:
        self.save(progress)


class Reporter(Callback):
    """A line an epoch; on a terminal, a live bar as well."""

    def __init__(self, args, folder: Path, test):
        self.args, self.folder, self.test = args, folder, test
        self.bar: Any = None
        self.started = time.perf_counter()

    def on_epoch_start(self, progress: Progress) -> None:
        self.started = time.perf_counter()
        self.first = progress.seen
        if sys.stdout.isatty() and sys.stderr.isatty():
            try:
                from tqdm import tqdm
            except ImportError:
                return
            self.bar = tqdm(
                total=progress.batches * self.args.batch_size,
                initial=progress.seen,
                desc=f"epoch {progress.epoch + 1}/{progress.epochs}",
                unit="image",
                unit_scale=True,
                leave=False,
            )

    def on_batch_end(self, progress: Progress) -> None:
        if self.bar is not None:
            self.bar.update(progress.seen - self.bar.n)
            if progress.batch % 20 == 0:
                self.bar.set_postfix_str(
                    f"loss {progress.loss:.4f}, accuracy {100 * progress.accuracy:.2f} %"
                )
        every = self.args.log_interval
        if every and progress.batch % every == 0:
            print(
                f"  batch {progress.batch}/{progress.batches}  loss {progress.loss:.4f}", flush=True
            )

    def on_epoch_end(self, progress: Progress, metrics: dict[str, float]) -> None:
        if self.bar is not None:
            self.bar.close()
            self.bar = None
        seconds = time.perf_counter() - self.started
        images = len(self.test.train) - self.first
        loss, accuracy = self.test()
        metrics |= {"test_loss": loss, "test_accuracy": accuracy, "seconds": seconds}
        with open(self.folder / "metrics.jsonl", "a", encoding="utf-8") as file:
            file.write(json.dumps(metrics) + "\n")
        width = len(str(progress.epochs))
        print(
            f"epoch {progress.epoch:{width}}/{progress.epochs}  loss {metrics['loss']:.4f}  "
            f"train {100 * metrics['accuracy']:.2f} %  test {100 * accuracy:.2f} %  "
            f"{images / seconds:,.0f} images/s  {seconds:.1f} s",
            flush=True,
        )


class Test:
    """The loss and accuracy on the test set."""

    def __init__(self, model, loss, loader, train):
        self.model, self.loss, self.loader, self.train = model, loss, loader, train

    def __call__(self) -> tuple[float, float]:
        return evaluate(self.model, self.loader, self.loss)


def dataset(args, train: bool):
    kind = {"mnist": MNIST, "fashion-mnist": FashionMNIST}[args.dataset]
    mean, std = STATISTICS[args.dataset]
    steps = [transforms.ToTensor(), transforms.Normalize((mean,), (std,))]
    root = args.data or (HERE / "data" if args.dataset == "mnist" else HERE / "data" / args.dataset)
    return kind(root, train=train, download=True, transform=transforms.Compose(steps))


def optimizer_for(args, parameters):
    if args.optimizer == "sgd":
        return optim.SGD(parameters, lr=args.lr, momentum=args.momentum)
    return {"adam": optim.Adam, "adamw": optim.AdamW}[args.optimizer](parameters, lr=args.lr)


def check_config(path: Path, config: dict[str, Any]) -> None:
    """A run is resumed with the settings it began with."""
    before = checkpoint.load(path)["config"]
    changed = [
        f"--{name.replace('_', '-')} was {before[name]}, is {config[name]}"
        for name in REMEMBERED
        if before.get(name) != config[name]
    ]
    if changed:
        sys.exit(f"this run began with other settings: {'; '.join(changed)}. Give the same ones again")


def main(argv: list[str] | None = None) -> int:
    args = parser().parse_args(argv)
    if args.threads is not None:
        torch.set_num_threads(args.threads)
    folder = folder_for(args)
    config = {name: str(v) if isinstance(v, Path) else v for name, v in vars(args).items()}
    resuming = args.resume is not None and (folder / "checkpoint.safetensors").exists()
    if resuming:
        check_config(folder / "checkpoint.safetensors", config)
    try:
        train, test = dataset(args, True), dataset(args, False)
    except (RuntimeError, ValueError) as error:
        note(str(error))
        return 2
    if args.limit is not None:
        train = Subset(train, range(min(args.limit, len(train))))
    torch.manual_seed(args.seed)
    model = nn.MLP(784, *args.hidden, 10)
    loss = nn.CrossEntropyLoss()
    optimizer = optimizer_for(args, model.parameters())
    scheduler = StepLR(optimizer, 1, args.gamma)
    loader = DataLoader(train, batch_size=args.batch_size, shuffle=True)
    test_loader = DataLoader(test, batch_size=args.test_batch_size)
    progress = Progress(args.epochs)
    keeper = Keeper(
        folder,
        {"model": model, "optimizer": optimizer, "scheduler": scheduler, "loader": loader},
        config,
    )
    if resuming:
        keeper.restore(progress)
        note(f"going on after epoch {progress.epoch}, batch {progress.batch}")
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    tested = Test(model, loss, test_loader, train)
    reporter = Reporter(args, folder, tested)
    note(f"{len(train):,} images, {torch.get_num_threads()} threads, writing to {folder}")
    try:
        fit(
            model, loader, loss=loss, optimizer=optimizer, scheduler=scheduler, progress=progress,
            epochs=1 if args.dry_run else args.epochs, max_batches=1 if args.dry_run else None,
            callbacks=[reporter, keeper],
        )  # fmt: skip
    except KeyboardInterrupt:
        note(f"\nstopped; go on with: python -m examples.mnist --resume {str(folder)!r} and the same settings")
        return 130
    _, accuracy = tested()
    if args.save_model:
        checkpoint.save(folder / "model.safetensors", model.state_dict())
    try:
        from examples.mnist import pictures
    except ImportError as error:
        note(f"no pictures: {error}. pip install matplotlib draws them")
    else:
        pictures.draw(folder, model, test, test_loader)
    print(f"test accuracy: {100 * accuracy:.2f} %")
    if args.target_accuracy is not None and 100 * accuracy < args.target_accuracy:
        return 1
    return 0


if __name__ == "__main__":
    os.environ.setdefault("PYTHONIOENCODING", "utf-8")
    sys.exit(main())

"""Train a network on MNIST, watch it learn, keep everything, and go on after any stop."""

from __future__ import annotations

import argparse
import json
import math
import shlex
import sys
import time
from pathlib import Path
from typing import Any, NoReturn

HERE = Path(__file__).resolve().parent
if not __package__:  # run as a file: our `examples`, whatever other package is called so
    sys.path.insert(0, str(HERE.parents[1]))

import autodiff as torch  # noqa: E402
import nn  # noqa: E402
from nn import checkpoint, optim, transforms  # noqa: E402
from nn.data import DataLoader, Subset  # noqa: E402
from nn.datasets import MNIST, FashionMNIST  # noqa: E402
from nn.optim.lr_scheduler import StepLR  # noqa: E402
from nn.training import Callback, Checkpoint, Progress, Training, evaluate  # noqa: E402

DATASETS = {  # class, and the mean and standard deviation of its training pixels
    "mnist": (MNIST, 0.1307, 0.3081),
    "fashion-mnist": (FashionMNIST, 0.2860, 0.3530),
}
RATES = {"sgd": 0.01, "adam": 0.001, "adamw": 0.001}  # learning rates that suit each optimiser
CONFIG, STATE, METRICS = "config.json", "checkpoint.safetensors", "metrics.jsonl"

DESCRIPTION = """\
Train a small network to read handwritten digits, on the real 60,000 MNIST images.

Without a flag this is the classic program: 784 pixels -> 512 ReLU units -> 10 digits,
cross-entropy, plain gradient descent, ten epochs. It ends near 96.7 percent of the
10,000 test digits read correctly."""

EPILOG = """\
things to try
  python -m examples.mnist --momentum 0.9                98.2 percent: each step keeps part of the
                                                         one before, and so builds up speed
  python -m examples.mnist --optimizer adam --gamma 0.7  98.4 percent: each weight gets a step
                                                         length of its own, shorter every epoch
  python -m examples.mnist --hidden 32                   how few units are enough?
  python -m examples.mnist --hidden 256 128              two hidden layers
  python -m examples.mnist --limit 1000 --epochs 30      few images: watch it learn them by heart,
                                                         while the test accuracy stays behind
  python -m examples.mnist --lr 1                        too long a stride
  python -m examples.mnist --dataset fashion-mnist       clothes: the same network, a harder task

what a run leaves in its folder
  config.json             the settings
  metrics.jsonl           a JSON object for each epoch
  checkpoint.safetensors  everything needed to go on, after each epoch and every 30 seconds.
                          After Ctrl-C, a crash or a power cut, --resume FOLDER goes on where
                          it stopped and ends with the same weights, to the last bit
  *.png                   curves, confusions, the worst mistakes, what the first layer looks for"""


# ---- the command line --------------------------------------------------------------------------


# fmt: off
def command_line() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m examples.mnist", description=DESCRIPTION, epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )

    add = parser.add_argument_group("the network and how it learns").add_argument
    add("--hidden", type=positive(int), nargs="+", default=[512], metavar="N",
        help="units in each hidden layer (default 512)")
    add("--epochs", type=positive(int), default=10, metavar="N",
        help="how often to go through all training images (default 10)")
    add("--batch-size", type=positive(int), default=64, metavar="N",
        help="images a step: the gradient is their mean (default 64)")
    add("--optimizer", choices=tuple(RATES), default="sgd",
        help="how a gradient becomes a step (default sgd)")
    add("--lr", type=positive(float), metavar="X",
        help="learning rate, the step for a gradient of 1 (default 0.01 for sgd, else 0.001)")
    add("--momentum", type=fraction, default=0.0, metavar="X",
        help="for sgd: the share of the last step that the next one keeps (default 0)")
    add("--gamma", type=positive(float), default=1.0, metavar="X",
        help="the learning rate is multiplied by this after each epoch (default 1: no decay)")
    add("--seed", type=int, default=1, metavar="N",
        help="decides the first weights and the order of the images (default 1)")

    add = parser.add_argument_group("the images").add_argument
    add("--dataset", choices=tuple(DATASETS), default="mnist",
        help="digits, or Zalando's clothes in the same format (default mnist)")
    add("--data", type=Path, metavar="DIR",
        help="the folder with the four .gz files (default: the one beside this program); what is "
        "missing is downloaded")
    add("--limit", type=positive(int), metavar="N", help="train on the first N images only")
    add("--test-batch-size", type=positive(int), default=1000, metavar="N",
        help="images at a time when testing; changes nothing but memory (default 1000)")

    add = parser.add_argument_group("the run").add_argument
    add("--out", type=Path, metavar="DIR",
        help="the run's own folder, new or empty (default: a new one under runs/)")
    add("--resume", type=Path, metavar="DIR",
        help="go on with the run in this folder, with its settings; --epochs may be raised")
    add("--dry-run", action="store_true",
        help="one batch through everything, and nothing written")
    add("--log-interval", type=int, default=0, metavar="N",
        help="also print a line every N batches (default 0: only one each epoch)")
    add("--checkpoint-seconds", type=positive(float), default=30.0, metavar="X",
        help="save within an epoch when the last checkpoint is this old (default 30)")
    add("--save-model", action="store_true",
        help="at the end, also write the weights alone, to model.safetensors")
    add("--no-pictures", action="store_true", help="draw no pictures at the end")
    add("--target-accuracy", type=float, metavar="P",
        help="exit with status 1 if the test accuracy is below P percent")
    add("--threads", type=positive(int), metavar="N",
        help="processor cores to use (default: all this process may)")
    return parser
# fmt: on


# What may differ between the start of a run and its going on; nothing here moves a weight.
FREE = {
    "epochs", "data", "test_batch_size", "log_interval", "checkpoint_seconds", "save_model",
    "no_pictures", "target_accuracy", "threads",
}  # fmt: skip
NOT_KEPT = {"out", "resume", "dry_run"}


def positive(kind: type) -> Any:
    def number(text: str) -> Any:
        value = kind(text)
        if not (value > 0 and math.isfinite(value)):
            raise argparse.ArgumentTypeError(f"{text} is not a positive number")
        return value

    number.__name__ = kind.__name__  # argparse: "invalid int value"
    return number


def fraction(text: str) -> float:
    value = float(text)
    if not 0 <= value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1")
    return value


def settings(argv: list[str] | None) -> argparse.Namespace:
    """The flags, on top of the settings of the run to go on with."""
    parser = command_line()
    args = parser.parse_args(argv)
    if args.out and args.resume:
        parser.error("--out begins a run, --resume goes on with one: give one of them")
    if args.dry_run and (args.out or args.resume):
        parser.error("--dry-run writes nothing, so it takes neither --out nor --resume")
    kept: dict[str, Any] = {}
    if args.resume and (args.resume / CONFIG).exists():
        kept = read_config(args.resume / CONFIG)
        parser.set_defaults(**kept)
        args = parser.parse_args(argv)
    if args.lr is None:
        args.lr = RATES[args.optimizer]
    if args.momentum and args.optimizer != "sgd":
        parser.error(f"--momentum is for sgd: {args.optimizer} has its own kind of it")
    if args.data is not None:
        args.data = Path(args.data).resolve()
    if args.resume and (args.resume / STATE).exists():
        for name in kept.keys() - FREE:
            if getattr(args, name) != kept[name]:
                parser.error(
                    f"this run began with {flag(name)} {shown(kept[name])}: it cannot go on with "
                    f"{shown(getattr(args, name))}. Leave the flag out, or begin another run"
                )
    return args


def flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def shown(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


# ---- the run's folder --------------------------------------------------------------------------


def read_config(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        stop(f"{path} cannot be read as the settings of a run: {error}")


def claim_folder(args: argparse.Namespace) -> Path:
    """The run's own folder, with its settings written there; never one that holds another run."""
    try:
        if args.resume:
            folder = args.resume
            folder.mkdir(parents=True, exist_ok=True)
            for leftover in folder.glob(".*.tmp"):  # of a save that was killed
                leftover.unlink()
        elif args.out:
            folder = args.out
            folder.mkdir(parents=True, exist_ok=True)
            if any(folder.iterdir()):
                stop(
                    f"{folder} is not empty, and no run overwrites another. Go on with it: "
                    f"--resume {shlex.quote(str(folder))}, or choose a new folder"
                )
        else:
            folder = new_folder(Path("runs") / f"{args.dataset}-{time.strftime('%Y%m%d-%H%M%S')}")
        kept = {name: value for name, value in vars(args).items() if name not in NOT_KEPT}
        text = json.dumps(kept, indent=2, default=str) + "\n"
        checkpoint.write_atomically(folder / CONFIG, text.encode())
    except OSError as error:
        stop(f"the run's folder cannot be used: {error}. Choose another one with --out DIR")
    return folder


def new_folder(wanted: Path) -> Path:
    """`wanted`, or `wanted-2`, `wanted-3`, … : the first that nobody has made."""
    folder, k = wanted, 1
    while True:
        try:
            folder.mkdir(parents=True)
            return folder
        except FileExistsError:
            k += 1
            folder = wanted.with_name(f"{wanted.name}-{k}")


class Metrics(Callback):
    """A JSON object for each epoch, a line each; after a stop, of the epochs the run went on from."""

    def __init__(self, path: Path):
        self.path = path

    def on_train_start(self, training: Training) -> None:
        text = "".join(json.dumps(row) + "\n" for row in training.history)
        checkpoint.write_atomically(self.path, text.encode())

    def on_epoch_end(self, training: Training) -> None:
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(json.dumps(training.history[-1]) + "\n")


# ---- the parts of the run ------------------------------------------------------------------------


def images(args: argparse.Namespace, train: bool) -> Any:
    kind, mean, std = DATASETS[args.dataset]
    # Both data sets' files have the same names: each in a folder of its own.
    root = args.data or (HERE / "data" if kind is MNIST else HERE / "data" / args.dataset)
    transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize((mean,), (std,))])
    return kind(root, train=train, download=True, transform=transform)


def training_run(args: argparse.Namespace, train: Any, test: Any) -> Training:
    model = nn.MLP(784, *args.hidden, 10)
    if args.optimizer == "sgd":
        optimizer = optim.SGD(model.parameters(), lr=args.lr, momentum=args.momentum)
    else:
        chosen = {"adam": optim.Adam, "adamw": optim.AdamW}[args.optimizer]
        optimizer = chosen(model.parameters(), lr=args.lr)
    return Training(
        model,
        DataLoader(train, batch_size=args.batch_size, shuffle=True),
        loss=nn.CrossEntropyLoss(),
        optimizer=optimizer,
        scheduler=StepLR(optimizer, step_size=1, gamma=args.gamma),
        epochs=args.epochs,
        test_loader=DataLoader(test, batch_size=args.test_batch_size),
    )


def draw_pictures(folder: Path, training: Training, test: Any) -> None:
    try:
        from examples.mnist import plots
    except ImportError as error:
        notice(f"no pictures, because {error.name} is not installed: pip install matplotlib")
        return
    plots.draw(folder, training, test)


# ---- the program ---------------------------------------------------------------------------------


def main(argv: list[str] | None = None) -> int:
    """Run the program; returns its exit status."""
    args = settings(argv)
    if args.threads:
        torch.set_num_threads(args.threads)
    try:
        train, test = images(args, train=True), images(args, train=False)
    except (RuntimeError, ValueError, OSError) as error:
        stop(str(error))
    if args.dry_run:
        args.epochs, args.limit = 1, args.batch_size
        test = Subset(test, range(min(args.test_batch_size, len(test))))
    if args.limit:
        train = Subset(train, range(min(args.limit, len(train))))

    torch.manual_seed(args.seed)
    training = training_run(args, train, test)
    notice(
        f"{' -> '.join(map(str, (784, *args.hidden, 10)))}, {args.optimizer} lr {args.lr:g}, "
        f"batch {args.batch_size}, seed {args.seed}: {len(train):,} training images, "
        f"{len(test):,} test images, {torch.get_num_threads()} threads"
    )
    if args.dry_run:
        training.run([Progress(args.log_interval)])
        return 0

    callbacks: list[Callback] = [Progress(args.log_interval)]
    folder = claim_folder(args)
    callbacks.append(Metrics(folder / METRICS))
    try:
        checkpoint.safetensors()
        callbacks.append(Checkpoint(folder / STATE, args.checkpoint_seconds))
    except ImportError as error:
        notice(f"no checkpoints: {error}")
    if args.resume and (folder / STATE).exists():
        training.load_state_dict(checkpoint.load(folder / STATE))
        notice(f"going on {place(training)} with the run in {folder}")
    else:
        notice(f"writing to {folder}")

    try:
        training.run(callbacks)
        accuracy = 100 * (evaluate(training.model, training.test_loader, training.loss).accuracy or 0)
        if args.save_model:
            checkpoint.save(folder / "model.safetensors", training.model.state_dict())
        if not args.no_pictures:
            draw_pictures(folder, training, test)
    except KeyboardInterrupt:
        kept = (folder / STATE).exists()
        notice(
            f"\nstopped {place(training)}. "
            + (f"To go on:\n  {going_on(folder)}" if kept else "There is no checkpoint to go on from")
        )
        return 130
    print(f"test accuracy: {accuracy:.2f} %", flush=True)
    if args.target_accuracy is not None and accuracy < args.target_accuracy:
        notice(f"that is below the target of {args.target_accuracy:g}")
        return 1
    return 0


def place(training: Training) -> str:
    return f"after epoch {training.epoch}" + (
        f" and {training.batch} batches of the next" if training.batch else ""
    )


def going_on(folder: Path) -> str:
    """The command that goes on with the run in `folder`, from where we are."""
    here, python = Path.cwd(), Path(sys.executable)
    program = [str(python.relative_to(here) if python.is_relative_to(here) else python)]
    program += ["-m", "examples.mnist"] if __package__ else [sys.argv[0]]
    return shlex.join([*program, "--resume", str(folder)])


def notice(text: str) -> None:
    """Something worth knowing that is not a result: on stderr."""
    print(text, file=sys.stderr, flush=True)


def stop(text: str) -> NoReturn:
    notice(text)
    sys.exit(2)


if __name__ == "__main__":
    sys.exit(main())

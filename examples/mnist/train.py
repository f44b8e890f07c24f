"""Train a network on MNIST, watch it learn, keep everything, and go on after any stop."""

from __future__ import annotations

import argparse
import json
import math
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

HERE = Path(__file__).resolve().parent
if not __package__:  # run as a file: our `examples`, whatever other package is called so
    sys.path.insert(0, str(HERE.parents[1]))

import autodiff as torch  # noqa: E402
import nn  # noqa: E402
from examples.mnist import networks  # noqa: E402
from examples.mnist.augment import RandomAffines  # noqa: E402
from examples.mnist.networks import DATASETS, MODELS, STATE  # noqa: E402
from nn import checkpoint, optim, transforms  # noqa: E402
from nn.data import DataLoader, Subset  # noqa: E402
from nn.datasets import MNIST  # noqa: E402
from nn.optim.lr_scheduler import StepLR  # noqa: E402
from nn.training import Callback, Checkpoint, Progress, Training, evaluate  # noqa: E402

RATES = {"sgd": 0.01, "adam": 0.001, "adamw": 0.001}  # learning rates that suit each optimiser
CONFIG, METRICS, WEIGHTS = "config.json", "metrics.jsonl", "model.safetensors"

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
  python -m examples.mnist --model linear                no hidden layer at all: ten templates
  python -m examples.mnist --model lenet --augment --optimizer adam --lr 0.002 --gamma 0.7 \\
    --epochs 8                                           99.2 percent and more, by convolutions, of
                                                         images that are varied anew every epoch
  python -m examples.mnist --limit 1000 --epochs 30      few images: watch it learn them by heart,
                                                         while the test accuracy stays behind
  python -m examples.mnist --eager                       the engine, operation by operation
  python -m examples.mnist --lr 1                        too long a stride
  python -m examples.mnist --dataset fashion-mnist       clothes: the same network, a harder task

when it has learnt
  python -m examples.mnist predict IMAGE                 what it reads in pictures of your own
  python -m examples.mnist draw                          a page to draw a digit on, and see why

what a run leaves in its folder
  config.json             the settings
  metrics.jsonl           a JSON object for each epoch
  checkpoint.safetensors  everything needed to go on, after each epoch and every 30 seconds.
                          After Ctrl-C, a crash or a power cut, --resume FOLDER goes on where
                          it stopped and ends with the same weights, to the last bit
  *.png                   curves, confusions, the worst mistakes, what the first layer looks for"""


# ---- the command line --------------------------------------------------------------------------


class Parser(argparse.ArgumentParser):
    """A parser whose errors are short."""

    where = ""  # before each error: where the flags stand, if nobody typed them

    def error(self, message: str) -> NoReturn:
        """One sentence; argparse would put the list of all flags before it."""
        stop(f"{self.where}{message}. --help explains every flag")


def number(kind: Callable[[str], Any], fits: Callable[[Any], bool], wanted: str) -> Callable[[str], Any]:
    """What reads a flag's value, or says that it is not what is `wanted`."""

    def read(text: str) -> Any:
        try:
            value = kind(text)
        except ValueError:
            value = None
        if value is None or not fits(value):
            raise argparse.ArgumentTypeError(f"{text} is not {wanted}")
        return value

    return read


whole = number(int, lambda n: True, "a whole number")
count = number(int, lambda n: n > 0, "a whole number above 0")
interval = number(int, lambda n: n >= 0, "a whole number, 0 or more")
positive = number(float, lambda x: 0 < x < math.inf, "a positive number")
fraction = number(float, lambda x: 0 <= x < 1, "a number from 0 to below 1")
percentage = number(float, lambda x: 0 <= x <= 100, "a number from 0 to 100")


def folder_of_run(text: str) -> Path:
    """The folder of a run, by its own name or by that of the checkpoint in it."""
    path = Path(text)
    return path.parent if path.name == STATE else path


# fmt: off
def command_line() -> Parser:
    """The flags."""
    parser = Parser(
        prog="python -m examples.mnist", usage="%(prog)s [--flag value ...]",
        description=DESCRIPTION, epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )

    add = parser.add_argument_group("the network and how it learns").add_argument
    add("--model", choices=MODELS, default="mlp",
        help="layers of ReLU units, none of them (784 -> 10), or the convolutional network of 1998 "
        "(default mlp)")
    add("--hidden", type=count, nargs="+", metavar="N",
        help="for mlp: units in each hidden layer (default 512)")
    add("--epochs", type=count, default=10, metavar="N",
        help="how often to go through all training images (default 10)")
    add("--batch-size", type=count, default=64, metavar="N",
        help="images a step: the gradient is their mean (default 64)")
    add("--optimizer", choices=tuple(RATES), default="sgd",
        help="how a gradient becomes a step (default sgd)")
    add("--lr", type=positive, metavar="X",
        help="learning rate, the step for a gradient of 1 (default 0.01 for sgd, else 0.001)")
    add("--momentum", type=fraction, default=0.0, metavar="X",
        help="for sgd: the share of the last step that the next one keeps (default 0)")
    add("--gamma", type=positive, default=1.0, metavar="X",
        help="the learning rate is multiplied by this after each epoch (default 1: no decay)")
    add("--seed", type=whole, default=1, metavar="N",
        help="decides the first weights and the order of the images (default 1)")

    add = parser.add_argument_group("the images").add_argument
    add("--dataset", choices=tuple(DATASETS), default="mnist",
        help="digits, or Zalando's clothes in the same format (default mnist)")
    add("--data", type=Path, metavar="DIR",
        help="the folder with the four .gz files (default: the one beside this program); what is "
        "missing is downloaded")
    add("--augment", action="store_true",
        help="turn, shift and scale every training image a little, anew each time it comes")
    add("--limit", type=count, metavar="N", help="train on the first N images only")
    add("--test-batch-size", type=count, default=1000, metavar="N",
        help="images at a time when testing; changes nothing but memory (default 1000)")

    add = parser.add_argument_group("the run").add_argument
    add("--out", type=Path, metavar="DIR",
        help="the run's own folder, new or empty (default: a new one under runs/)")
    add("--resume", type=folder_of_run, metavar="DIR",
        help="go on with the run in this folder, with its settings; --epochs may be raised")
    add("--dry-run", action="store_true",
        help="one batch through everything, and nothing written")
    add("--log-interval", type=interval, default=0, metavar="N",
        help="also print a line every N batches (default 0: only one each epoch)")
    add("--checkpoint-seconds", type=positive, default=30.0, metavar="X",
        help="save within an epoch when the last checkpoint is this old (default 30)")
    add("--save-model", action="store_true",
        help="at the end, also write the weights alone, to model.safetensors")
    add("--no-pictures", action="store_true", help="draw no pictures at the end")
    add("--target-accuracy", type=percentage, metavar="P",
        help="exit with status 1 if the test accuracy is below P percent")
    add("--eager", action="store_true",
        help="let the engine work call by call, instead of one compiled function for each step")
    add("--threads", type=count, metavar="N",
        help="processor cores to use (default: all this process may)")
    return parser
# fmt: on


# What may differ between the start of a run and its going on; nothing here moves a weight.
FREE = {
    "epochs", "data", "test_batch_size", "log_interval", "checkpoint_seconds", "save_model",
    "no_pictures", "target_accuracy", "threads",
}  # fmt: skip
NOT_KEPT = {"out", "resume", "dry_run"}


def settings(argv: list[str] | None) -> argparse.Namespace:
    """The flags, on top of the settings of the run to go on with."""
    parser, argv = command_line(), sys.argv[1:] if argv is None else argv
    args = parser.parse_args(argv)
    if args.out and args.resume:
        parser.error("--out begins a run, --resume goes on with one: give one of them")
    if args.dry_run and (args.out or args.resume):
        parser.error("--dry-run writes nothing, so it takes neither --out nor --resume")
    kept: dict[str, Any] = {}
    if args.resume and (args.resume / STATE).exists() and not (args.resume / CONFIG).exists():
        stop(f"{args.resume} holds a checkpoint and no {CONFIG}: it can't be told what run this was")
    if args.resume and (args.resume / CONFIG).exists():
        flags, kept = kept_settings(args.resume / CONFIG)
        args = parser.parse_args([*flags, *argv])
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
    if args.model == "mlp":
        args.hidden = args.hidden or [512]
    elif args.hidden:
        parser.error(f"--hidden is for mlp: {args.model} has its own layers")
    return args


def flag(name: str) -> str:
    """A setting as a flag."""
    return "--" + name.replace("_", "-")


def shown(value: Any) -> str:
    """A setting's value as one types it."""
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


# ---- the run's folder --------------------------------------------------------------------------


def kept_settings(path: Path) -> tuple[list[str], dict[str, Any]]:
    """The settings in this file: as they are typed, and so checked like those that are, and what they say."""
    unreadable = f"{path} cannot be read as the settings of a run: "
    try:
        kept = dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        stop(f"{unreadable}{error}")
    kept = {name: value for name, value in kept.items() if name not in NOT_KEPT}
    flags: list[str] = []
    for name, value in kept.items():
        if value is True:
            flags.append(flag(name))
        elif isinstance(value, list):
            flags += [flag(name), *map(str, value)]
        elif value is not None and value is not False:
            flags.append(f"{flag(name)}={value}")
    parser = command_line()
    parser.where = unreadable
    said = vars(parser.parse_args(flags))
    return flags, {name: said[name] for name in kept.keys() & said.keys()}


def claim_folder(args: argparse.Namespace) -> Path:
    """The run's own folder; never one that holds another run."""
    try:
        folder = args.resume or args.out
        if folder is None:
            return new_folder(Path("runs") / f"{args.dataset}-{time.strftime('%Y%m%d-%H%M%S')}")
        folder.mkdir(parents=True, exist_ok=True)
        if args.out and any(folder.iterdir()):
            way = f"go on with it by {quoted('--resume', folder)}, or " if (folder / CONFIG).exists() else ""
            stop(f"{folder} is not empty, and no run overwrites another: {way}choose a new folder")
        for name in (CONFIG, STATE, METRICS, WEIGHTS):
            for leftover in folder.glob(f".{name}.*.tmp"):  # of a save that was killed
                leftover.unlink()
    except OSError as error:
        stop(f"the run's folder cannot be used: {error}. Choose another one")
    return folder


def keep_settings(args: argparse.Namespace, folder: Path) -> None:
    """Write the settings into the run's folder."""
    kept = {name: value for name, value in vars(args).items() if name not in NOT_KEPT}
    text = json.dumps(kept, indent=2, default=str) + "\n"
    checkpoint.write_atomically(folder / CONFIG, text.encode())


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
        text = "".join(self.line(row) for row in training.history)
        checkpoint.write_atomically(self.path, text.encode())

    def on_epoch_end(self, training: Training) -> None:
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(self.line(training.history[-1]))

    @staticmethod
    def line(row: dict[str, Any]) -> str:
        """JSON knows no NaN and no infinity: they are written as null."""
        finite = {name: value if math.isfinite(value) else None for name, value in row.items()}
        return json.dumps(finite) + "\n"


# ---- the parts of the run ------------------------------------------------------------------------


def images(args: argparse.Namespace, train: bool) -> Any:
    """The training or the test images, and how they become numbers."""
    kind, mean, std = DATASETS[args.dataset]
    # Both data sets' files have the same names: each in a folder of its own.
    root = args.data or (HERE / "data" if kind is MNIST else HERE / "data" / args.dataset)
    varied = [RandomAffines()] if train and args.augment else []
    steps = [transforms.ToTensor(), *varied, transforms.Normalize((mean,), (std,))]
    return kind(root, train=train, download=True, transform=transforms.Compose(steps))


def training_run(args: argparse.Namespace, train: Any, test: Any) -> Training:
    """The run that these settings describe, at its start."""
    model = networks.built(args.model, args.hidden)
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
        compile=not (args.eager or args.dry_run),
    )


def draw_pictures(folder: Path, training: Training, test: Any) -> None:
    """Draw the pictures, if Matplotlib is there."""
    try:
        from examples.mnist import plots
    except ImportError as error:
        notice(f"no pictures: {error}. Try: pip install matplotlib")
        return
    plots.draw(folder, training, test)


# ---- the program ---------------------------------------------------------------------------------


def main(argv: list[str] | None = None) -> int:
    """Run the program; returns its exit status."""
    args = settings(argv)
    try:
        training, test = prepare(args)
        if args.dry_run:
            training.run([Progress(args.log_interval)])
            return 0
        folder = claim_folder(args)
        callbacks = begin(args, training, folder)
    except KeyboardInterrupt:
        notice("\nstopped. There is nothing to go on from")
        return 130

    try:
        training.run(callbacks)
        accuracy = 100 * (evaluate(training.model, training.test_loader, training.loss).accuracy or 0)
        if args.save_model:
            checkpoint.save(folder / WEIGHTS, training.model.state_dict())
        if not args.no_pictures:
            draw_pictures(folder, training, test)
        print(f"test accuracy: {accuracy:.2f} %", flush=True)
    except KeyboardInterrupt:
        notice(f"\nstopped {place(training)}. {going_on(folder)}")
        return 130
    except BrokenPipeError:  # nobody reads on, as after `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains at its end
        notice(f"stopped {place(training)}: the output is closed. {going_on(folder)}")
        return 141  # what a shell makes of it
    except OSError as error:
        stop(f"the run cannot be written down: {error}. {going_on(folder)}")

    if training.history and not math.isfinite(training.history[-1]["loss"]):
        notice("the loss is no longer a number: the steps were too long. Try a smaller --lr")
    if args.target_accuracy is not None and accuracy < args.target_accuracy:
        notice(f"that is below the target of {args.target_accuracy:g}")
        return 1
    return 0


def prepare(args: argparse.Namespace) -> tuple[Training, Any]:
    """The training run at its start, and the test images."""
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
    sizes = networks.shape_of(args.model, args.hidden)
    try:
        training = training_run(args, train, test)
    except (MemoryError, ValueError) as error:
        stop(f"a network of {sizes} units does not fit: {error}. Try a smaller --hidden")
    threads = torch.get_num_threads()
    notice(
        f"{sizes}, {args.optimizer} lr {args.lr:g}, batch {args.batch_size}, seed {args.seed}: "
        f"{len(train):,} training images{', varied' if args.augment else ''}, "
        f"{len(test):,} test images, "
        f"{threads} thread{'s' if threads > 1 else ''}"
    )
    return training, test


def begin(args: argparse.Namespace, training: Training, folder: Path) -> list[Callback]:
    """Take the run up where its folder leaves it; what is to happen along the way."""
    kept = args.resume and (folder / STATE).exists()
    callbacks: list[Callback] = [Metrics(folder / METRICS)]
    try:
        checkpoint.safetensors()
    except ImportError as error:
        if kept or args.save_model:
            stop(str(error))
        notice(f"no checkpoints: {error}")
    else:
        network = {"model": args.model, "hidden": args.hidden, "dataset": args.dataset}
        callbacks.append(Checkpoint(folder / STATE, args.checkpoint_seconds, network=network))
    try:
        if kept:
            training.load_state_dict(checkpoint.load(folder / STATE))
        keep_settings(args, folder)
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        reason = error.args[0] if isinstance(error, KeyError) else error  # whose text is in quotes
        stop(f"this run cannot go on: {reason}" if kept else f"the run's folder cannot be used: {reason}")
    if kept:
        notice(f"going on {place(training)} with the run in {folder}")
    else:
        why = "there is no checkpoint, so this is a new run: " if args.resume else ""
        notice(f"{why}writing to {folder}")
    return [*callbacks, Progress(args.log_interval)]  # in this order, what was shown is also kept


def place(training: Training) -> str:
    """How far the run is."""
    begun = f" and {training.batch} batches of the next" if training.batch else ""
    return f"after epoch {training.epoch}{begun}"


def going_on(folder: Path) -> str:
    """How to go on with the run in `folder`, if there is a way: by the command that ran us, from
    where we are."""
    if not (folder / STATE).exists():
        return "There is no checkpoint to go on from"
    here, python = Path.cwd(), Path(sys.executable)
    python = python.relative_to(here) if python.is_relative_to(here) else python
    as_file = not sys.modules["__main__"].__package__ and Path(sys.argv[0]).resolve().is_relative_to(HERE)
    program = [sys.argv[0]] if as_file else ["-m", "examples.mnist"]
    return f"To go on:\n  {quoted(python, *program, '--resume', folder)}"


def quoted(*words: Any) -> str:
    """The words as one types them in a shell."""
    return (subprocess.list2cmdline if os.name == "nt" else shlex.join)(list(map(str, words)))


def notice(text: str) -> None:
    """Something worth knowing that is not a result: on stderr."""
    print(text, file=sys.stderr, flush=True)


def stop(text: str) -> NoReturn:
    """End the program with an error, in one sentence."""
    notice(text)
    sys.exit(2)


if __name__ == "__main__":
    sys.exit(main())

"""The training loop: epochs of batches, with callbacks along the way, that can stop and go on."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import autodiff
from autodiff import Tensor

from . import checkpoint
from .module import Module
from .optim.lr_scheduler import ReduceLROnPlateau


class Evaluation(NamedTuple):
    """Means over samples; the accuracy is None where the targets are not classes."""

    loss: float
    accuracy: float | None


class Training:
    """One training run: its parts, where it stands, and the loop.

    `state_dict()` is all of it: model, optimiser, scheduler, the loader's place, the random state
    and the counts below. A run that loads it ends with the same bits as one that never stopped.

    `step(inputs, targets)` is what is done for each batch: one compiled function, unless `compile` is
    False, which lets the engine work call by call, and is rounded differently. A compiled step leaves
    no gradients in `.grad`.
    """

    def __init__(
        self, model: Module, loader: Any, *, loss: Callable[[Tensor, Tensor], Tensor],
        optimizer: Any, epochs: int, scheduler: Any = None, test_loader: Any = None,
        compile: bool = True,
    ):  # fmt: skip
        self.model, self.loader, self.loss, self.optimizer = model, loader, loss, optimizer
        self.scheduler, self.test_loader, self.epochs = scheduler, test_loader, epochs
        step = training_step(model, loss, optimizer)
        self.step = autodiff.compile(step) if compile else step
        self.epoch = 0  # whole epochs done
        self.history: list[dict[str, Any]] = []  # what each of them came to
        self._start_epoch()

    def _start_epoch(self) -> None:
        """Nothing of the epoch at hand is done."""
        self.batch = 0  # batches done in the epoch at hand
        self.seen = 0  # samples in them
        self.loss_sum = 0.0  # over those samples
        self.hits: int | None = 0  # how many of them were classified right
        self.seconds = 0.0  # spent on them

    @property
    def mean_loss(self) -> float:
        """Of the epoch at hand, each sample's as it was when its batch came."""
        return self.loss_sum / self.seen if self.seen else float("nan")

    @property
    def accuracy(self) -> float | None:
        """The share of the epoch's samples that were classified right when their batch came."""
        return self.hits / self.seen if self.seen and self.hits is not None else None

    @property
    def finished(self) -> bool:
        """Are all epochs done?"""
        return self.epoch >= self.epochs

    def run(self, callbacks: Iterable[Callback] = ()) -> None:
        """Train until `epochs` are done. Ctrl-C ends it after the batch at hand, never within it:
        the callbacks' `on_interrupt` are called, then KeyboardInterrupt is raised."""
        callbacks = list(callbacks)

        def tell(moment: str) -> None:
            for callback in callbacks:
                getattr(callback, moment)(self)
            if asked.is_set() and moment in ("on_batch_end", "on_epoch_end"):
                for callback in callbacks:
                    callback.on_interrupt(self)
                raise KeyboardInterrupt

        with interruptions() as asked:
            tell("on_train_start")
            try:
                while not self.finished:
                    tell("on_epoch_start")
                    self._train_epoch(lambda: tell("on_batch_end"))
                    tell("on_epoch_end")
            finally:
                tell("on_train_end")

    def _train_epoch(self, batch_done: Callable[[], None]) -> None:
        """The batches of an epoch that are left, and what follows the last of them."""
        self.model.train()
        before = time.perf_counter()
        for batch in self.loader:
            inputs, targets = pair(batch)
            outputs, loss = self.step(inputs, targets)
            n, right = len(targets), hits(outputs, targets)
            self.batch += 1
            self.seen += n
            self.loss_sum += loss.item() * n
            self.hits = None if self.hits is None or right is None else self.hits + right
            now = time.perf_counter()
            self.seconds, before = self.seconds + now - before, now
            batch_done()
        if not self.seen:
            raise ValueError("there is nothing to train on: the loader gave no batch")
        rates = [group["lr"] for group in self.optimizer.param_groups]
        row = {
            "epoch": self.epoch + 1, "loss": self.mean_loss, "accuracy": self.accuracy,
            "lr": rates[0], "seconds": self.seconds, "samples": self.seen,
        }  # fmt: skip
        if self.test_loader is not None:
            row["test_loss"], row["test_accuracy"] = evaluate(self.model, self.test_loader, self.loss)
        if isinstance(self.scheduler, ReduceLROnPlateau):
            self.scheduler.step(row.get("test_loss", row["loss"]))
        elif self.scheduler is not None:
            self.scheduler.step()
        self.history.append(row)
        self.epoch += 1
        self._start_epoch()

    # ---- stopping and going on ----------------------------------------------------------------

    PARTS = ("model", "optimizer", "scheduler", "loader")
    COUNTS = ("epoch", "batch", "seen", "loss_sum", "hits", "seconds", "history")

    def state_dict(self) -> dict[str, Any]:
        """Everything that decides how the run goes on."""
        parts = {name: getattr(self, name) for name in self.PARTS}
        for name, part in parts.items():
            if part is not None and not hasattr(part, "state_dict"):
                raise TypeError(
                    f"the state of this run cannot be had: its {name}, a {type(part).__name__}, has no "
                    "state_dict(). Give it one of this package's, such as nn.data.DataLoader"
                )
        states = {name: part.state_dict() for name, part in parts.items() if part is not None}
        counts = {name: getattr(self, name) for name in self.COUNTS}
        return {**states, "random": autodiff.get_rng_state(), "progress": counts}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Stand where `state` was taken; `epochs` stays as it is."""
        present = [name for name in self.PARTS if getattr(self, name) is not None]
        missing = {*present, "random", "progress"} - state.keys()
        if missing:
            raise KeyError(f"this is not the state of such a training run: it has no {', '.join(missing)}")
        for name in present:
            getattr(self, name).load_state_dict(state[name])
        autodiff.set_rng_state(state["random"])
        for name in self.COUNTS:
            setattr(self, name, state["progress"][name])


def training_step(model: Module, loss: Callable, optimizer: Any) -> Callable:
    """What is done for each batch: forward, walk back, update."""

    def step(inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        optimizer.zero_grad()
        outputs = model(inputs)
        value = loss(outputs, targets)
        value.backward()
        optimizer.step()
        return outputs, value

    return step


class Callback:
    """What is to happen along the way. Override what you need; each gets the `Training`."""

    def on_train_start(self, training: Training) -> None:
        """The run begins, or goes on."""

    def on_epoch_start(self, training: Training) -> None:
        """An epoch begins, or goes on after `training.batch` batches."""

    def on_batch_end(self, training: Training) -> None:
        """The optimiser has stepped; `mean_loss` and `accuracy` are those of the epoch so far."""

    def on_epoch_end(self, training: Training) -> None:
        """The epoch has its row in `training.history`."""

    def on_interrupt(self, training: Training) -> None:
        """Ctrl-C was pressed, and the batch at hand is done."""

    def on_train_end(self, training: Training) -> None:
        """The run ends here: `training.finished`, or because something was raised."""


def fit(
    model: Module, loader: Any, *, loss: Callable[[Tensor, Tensor], Tensor], optimizer: Any,
    epochs: int = 1, scheduler: Any = None, test_loader: Any = None,
    callbacks: Iterable[Callback] = (), resume: str | Path | None = None, compile: bool = True,
) -> Training:  # fmt: skip
    """Train `model` on the (inputs, targets) of `loader` for `epochs`; `test_loader` is evaluated, and the
    scheduler steps, once an epoch: a ReduceLROnPlateau by the test loss, or the loss if there is none.

    `resume` is a file that a `Checkpoint` callback wrote: the run goes on from there, and ends as
    if it had never stopped. Returns the `Training`, whose `history` has a dict for each epoch.

    The step is compiled; `compile=False` lets the engine work call by call. A run goes on as it began,
    or the last bits differ.
    """
    training = Training(
        model, loader, loss=loss, optimizer=optimizer, epochs=epochs, scheduler=scheduler,
        test_loader=test_loader, compile=compile,
    )  # fmt: skip
    if resume is not None:
        training.load_state_dict(checkpoint.load(resume))
    training.run(callbacks)
    return training


def evaluate(model: Module, loader: Any, loss: Callable[[Tensor, Tensor], Tensor]) -> Evaluation:
    """Mean loss and accuracy over the samples of `loader`, in evaluation mode; the model's modes
    are then as before. `loss` gives the mean over a batch."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    loss_sum, right, seen = 0.0, 0, 0
    try:
        with autodiff.no_grad():
            for batch in loader:
                inputs, targets = pair(batch)
                outputs, n = model(inputs), len(targets)
                loss_sum += loss(outputs, targets).item() * n
                found = hits(outputs, targets)
                right = None if right is None or found is None else right + found
                seen += n
    finally:
        for module, mode in modes:
            module.training = mode
    if not seen:
        raise ValueError("there is nothing to evaluate on: the loader gave no batch")
    return Evaluation(loss_sum / seen, None if right is None else right / seen)


def pair(batch: Any) -> tuple[Any, Tensor]:
    """The inputs and targets of a batch."""
    if not isinstance(batch, (tuple, list)) or len(batch) != 2:
        size = f" of {len(batch)}" if hasattr(batch, "__len__") else ""
        raise TypeError(
            f"a batch is a pair (inputs, targets), and the loader gave a {type(batch).__name__}{size}. "
            "Make pairs with a collate_fn, or write the loop yourself"
        )
    inputs, targets = batch
    if not hasattr(targets, "ndim"):
        raise TypeError(
            "the targets of a batch are one Tensor, with a row for each sample, and the loader gave a "
            f"{type(targets).__name__}. Put them together with a collate_fn, or write the loop yourself"
        )
    return inputs, targets


def hits(outputs: Any, targets: Tensor) -> int | None:
    """How many samples have the largest of their outputs (N, C) at their target's class; None where
    targets are not one class for each sample, or outputs are something else."""
    if targets.dtype.kind not in "iu" or targets.ndim != 1:
        return None
    if not isinstance(outputs, Tensor) or outputs.ndim != 2:
        return None
    return int((outputs.array.argmax(1) == targets.array).sum())


@contextlib.contextmanager
def interruptions() -> Iterator[threading.Event]:
    """An event that the first Ctrl-C sets; a second one interrupts at once.

    A handler of the caller's own is left in place, and so is everything off the main thread, where
    Python delivers no signals.
    """
    asked = threading.Event()
    here = threading.current_thread() is threading.main_thread()
    if not here or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield asked
        return

    def ask(number, frame):
        signal.signal(signal.SIGINT, signal.default_int_handler)
        asked.set()

    signal.signal(signal.SIGINT, ask)
    try:
        yield asked
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


# ---- callbacks that most runs want -----------------------------------------------------------


class Checkpoint(Callback):
    """Saves the run to `path` after each epoch, within one every so many `seconds`, and at Ctrl-C.

    `metadata` is kept beside it. (`fit(…, resume=path)` goes on from there.)
    """

    def __init__(self, path: str | Path, seconds: float = 30.0, **metadata: Any):
        self.path, self.seconds, self.metadata = Path(path), seconds, metadata
        self.saved = time.monotonic()

    def save(self, training: Training) -> None:
        """Now."""
        checkpoint.save(self.path, training.state_dict(), **self.metadata)
        self.saved = time.monotonic()

    def on_train_start(self, training: Training) -> None:
        checkpoint.encoded(training.state_dict())  # what can't be saved says so now, not after an epoch
        self.saved = time.monotonic()

    def on_batch_end(self, training: Training) -> None:
        if time.monotonic() - self.saved >= self.seconds:
            self.save(training)

    def on_epoch_end(self, training: Training) -> None:
        self.save(training)

    def on_interrupt(self, training: Training) -> None:
        self.save(training)


class Progress(Callback):
    """A line on stdout for each epoch, and one every `log_interval` batches if that is not 0; on a
    terminal a live bar as well, on stderr, by tqdm."""

    def __init__(self, log_interval: int = 0):
        self.log_interval = log_interval
        self.bar: Any = None

    def on_train_start(self, training: Training) -> None:
        if sys.stderr is None or not sys.stderr.isatty():  # None: a program without a console
            return
        try:
            from tqdm import tqdm
        except ImportError:
            print("for a live bar: pip install tqdm", file=sys.stderr)
            return
        batches = batches_of(training.loader)
        known = batches is not None
        self.bar = tqdm(
            total=batches * training.epochs if known else None,
            initial=batches * training.epoch + training.batch if known else training.batch,
            desc=f"epoch {training.epoch + 1}/{training.epochs}", leave=False, dynamic_ncols=True,
            bar_format="{desc} {percentage:3.0f}% |{bar}| {remaining} left{postfix}"
            if known else "{desc}{postfix}",
            delay=1e-3,  # not before the first batch: kernels that it compiles say so on a line of their own
        )  # fmt: skip

    def on_epoch_start(self, training: Training) -> None:
        if self.bar is not None:
            self.bar.set_description_str(f"epoch {training.epoch + 1}/{training.epochs}", refresh=False)

    def on_batch_end(self, training: Training) -> None:
        if self.bar is not None:
            speed = training.seen / training.seconds
            self.bar.set_postfix_str(f"{scores(training)}, {speed:,.0f} images/s", refresh=False)
            self.bar.update()
        if self.log_interval and training.batch % self.log_interval == 0:
            batches = batches_of(training.loader)
            of = "" if batches is None else f"/{batches}"
            self.say(f"epoch {training.epoch + 1}  batch {training.batch}{of}  {scores(training)}")

    def on_epoch_end(self, training: Training) -> None:
        row = training.history[-1]
        width = len(str(training.epochs))
        parts = [f"epoch {row['epoch']:{width}}/{training.epochs}", f"loss {row['loss']:.4f}"]
        parts += [percent("accuracy", row["accuracy"])]
        if "test_loss" in row:
            parts += [f"test loss {row['test_loss']:.4f}"]
            parts += [percent("test accuracy", row["test_accuracy"])]
        parts += [f"{row['samples'] / row['seconds']:,.0f} images/s", f"{row['seconds']:.1f} s"]
        self.say("  ".join(filter(None, parts)))

    def on_train_end(self, training: Training) -> None:
        if self.bar is not None:
            self.bar.close()
            self.bar = None

    def say(self, line: str) -> None:
        """A line on stdout."""
        if self.bar is None:
            print(line, flush=True)
        else:  # above the bar, not through it
            self.bar.write(line, file=sys.stdout)


def batches_of(loader: Any) -> int | None:
    """How many there are in an epoch; None where only its end will tell."""
    try:
        return len(loader)
    except TypeError:
        return None


def scores(training: Training) -> str:
    """Loss and accuracy of the epoch so far."""
    accuracy = percent("accuracy", training.accuracy)
    return f"loss {training.mean_loss:.4f}" + (f", {accuracy}" if accuracy else "")


def percent(name: str, share: float | None) -> str:
    """A share with its name; nothing if it is not known."""
    return "" if share is None else f"{name} {100 * share:.2f} %"

"""The training loop: the same numbers as by hand, callbacks in order, stops that lose nothing."""

from __future__ import annotations

import io
import itertools
import re
import signal
import sys
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import autodiff as ad
import nn
from nn import optim, transforms
from nn.data import DataLoader, Dataset, IterableDataset, TensorDataset
from nn.training import Callback, Checkpoint, Progress, Training, evaluate, fit


def parts(seed=0, dropout=0.3, n=20):
    """A small classifier and everything it trains with; the seed decides all but the data."""
    ad.manual_seed(99)
    x = ad.randn(n, 5)
    y = x[:, :3].argmax(1)
    ad.manual_seed(seed)
    model = nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Dropout(dropout), nn.Linear(8, 3))
    optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    return dict(
        model=model,
        loader=DataLoader(TensorDataset(x, y), 6, shuffle=True),
        loss=nn.CrossEntropyLoss(),
        optimizer=optimizer,
        scheduler=optim.lr_scheduler.StepLR(optimizer, 1, 0.7),
        test_loader=DataLoader(TensorDataset(x, y), 8),
    )


def bits(model) -> bytes:
    return b"".join(p.detach().numpy().tobytes() for p in model.parameters())


def test_it_is_the_loop_that_one_writes_by_hand():
    by_hand = parts()
    model, optimizer, loss = (by_hand[name] for name in ("model", "optimizer", "loss"))
    losses = []
    for _ in range(3):
        model.train()
        total = 0.0
        for x, y in by_hand["loader"]:
            optimizer.zero_grad()
            value = loss(model(x), y)
            value.backward()
            optimizer.step()
            total += value.item() * len(y)
        by_hand["scheduler"].step()
        losses.append(total / 20)
    done = fit(**(ours := parts()), epochs=3)
    assert bits(ours["model"]) == bits(model)
    assert [row["loss"] for row in done.history] == losses
    assert [row["epoch"] for row in done.history] == [1, 2, 3]
    assert [row["lr"] for row in done.history] == pytest.approx([0.1, 0.07, 0.049])
    assert done.finished and done.batch == 0
    assert done.history[-1]["test_accuracy"] == evaluate(model, by_hand["test_loader"], loss).accuracy


def test_evaluate_is_the_mean_over_samples_in_evaluation_mode():
    given = parts(dropout=0.9)
    model, loss = given["model"], given["loss"]
    x, y = given["loader"].dataset.tensors
    model.train()
    found = evaluate(model, given["test_loader"], loss)  # in batches of 8, 8 and 4
    assert model.training
    model.eval()
    outputs = model(x)
    assert found.loss == pytest.approx(loss(outputs, y).item(), rel=1e-6)
    assert found.accuracy == (outputs.detach().numpy().argmax(1) == y.numpy()).mean()
    assert all(p.grad is None for p in model.parameters())
    with pytest.raises(ValueError, match="nothing to evaluate on"):
        evaluate(model, [], loss)


def test_evaluate_leaves_every_module_in_its_mode():
    model = nn.Sequential(nn.Dropout(), nn.Sequential(nn.Dropout(), nn.Linear(2, 2)))
    model[1][0].eval()  # frozen, as one does with a part that was trained before
    before = [m.training for m in model.modules()]
    evaluate(model, [(ad.ones(1, 2), ad.tensor([0]))], nn.CrossEntropyLoss())
    assert [m.training for m in model.modules()] == before == [True, True, True, False, True]


def test_what_is_no_batch_and_no_loader_is_said():
    given = parts()
    for batch in ([ad.ones(2, 5)], ad.ones(2, 5), {"x": ad.ones(1), "y": ad.ones(1)}):
        with pytest.raises(TypeError, match=r"a batch is a pair \(inputs, targets\), and the loader gave a"):
            evaluate(given["model"], [batch], given["loss"])
        with pytest.raises(TypeError, match=r"a batch is a pair \(inputs, targets\), and the loader gave a"):
            fit(**{**given, "loader": [batch]})
    with pytest.raises(TypeError, match=r"the targets of a batch are one Tensor.*and the loader gave a list"):
        evaluate(given["model"], [(ad.ones(2, 5), [ad.ones(2), ad.ones(2)])], given["loss"])
    with pytest.raises(ValueError, match="nothing to train on: the loader gave no batch"):
        fit(**{**given, "loader": []})
    run = Training(**{**given, "loader": [(ad.ones(2, 5), ad.tensor([0, 1]))]}, epochs=1)
    run.run()
    assert run.finished  # a list of batches is a loader
    with pytest.raises(TypeError, match=r"its loader, a list, has no state_dict\(\)"):
        run.state_dict()


def test_accuracy_is_of_one_class_for_each_sample():
    model = nn.Sequential(nn.Linear(4, 12), Reshaped())
    batch = ad.randn(5, 4), ad.zeros(5, 4).long()
    assert evaluate(model, [batch], nn.CrossEntropyLoss()).accuracy is None


def test_outputs_may_be_anything_that_the_loss_takes():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.Linear(5, 3)

        def forward(self, x):
            return self.inner(x), x

    given = parts()
    model = Two()
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    changed = {"model": model, "optimizer": optimizer, "scheduler": None, "compile": False}
    changed["loss"] = lambda outputs, targets: given["loss"](outputs[0], targets)
    (row,) = fit(**{**given, **changed}).history
    assert row["accuracy"] is None and row["test_accuracy"] is None and row["test_loss"] > 0


class Reshaped(nn.Module):
    def forward(self, input):
        return input.reshape(-1, 3, 4)


def test_a_regression_has_no_accuracy():
    x = ad.randn(12, 2)
    model = nn.Linear(2, 1)
    loader = DataLoader(TensorDataset(x, x.sum(1, keepdim=True)), 4)
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    done = fit(model, loader, loss=nn.MSELoss(), optimizer=optimizer, epochs=30, test_loader=loader)
    assert done.history[-1]["accuracy"] is None and done.history[-1]["test_accuracy"] is None
    assert done.history[-1]["test_loss"] < 0.1 * done.history[0]["test_loss"]


class Diary(Callback):
    def __init__(self):
        self.lines = []

    def __getattribute__(self, name):
        if not name.startswith("on_"):
            return super().__getattribute__(name)
        return lambda t: self.lines.append((name[3:], t.epoch, t.batch))


def test_callbacks_are_called_in_order():
    fit(**parts(), epochs=2, callbacks=[diary := Diary()])
    epochs = [
        [("epoch_start", e, 0), *(("batch_end", e, b) for b in (1, 2, 3, 4)), ("epoch_end", e + 1, 0)]
        for e in (0, 1)
    ]
    assert diary.lines == [("train_start", 0, 0), *epochs[0], *epochs[1], ("train_end", 2, 0)]


# ---- stopping ----------------------------------------------------------------------------------------


class At(Callback):
    """Does something after the given number of batches."""

    def __init__(self, batch, action):
        self.left, self.action = batch, action

    def on_batch_end(self, training):
        self.left -= 1
        if self.left == 0:
            self.action()


def press_ctrl_c():
    signal.raise_signal(signal.SIGINT)


def test_ctrl_c_stops_after_the_batch_and_tells_everybody():
    diary = Diary()
    with pytest.raises(KeyboardInterrupt):
        fit(**parts(), epochs=2, callbacks=[At(6, press_ctrl_c), diary])
    assert diary.lines[-3:] == [("batch_end", 1, 2), ("interrupt", 1, 2), ("train_end", 1, 2)]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_ctrl_c_within_a_batch_lets_it_end():
    given, diary = parts(), Diary()
    step = given["optimizer"].step

    def interrupted_step():
        press_ctrl_c()
        step()

    given["optimizer"].step = interrupted_step
    with pytest.raises(KeyboardInterrupt):
        fit(**given, epochs=2, callbacks=[diary])
    assert diary.lines[-3:] == [("batch_end", 0, 1), ("interrupt", 0, 1), ("train_end", 0, 1)]


def test_a_second_ctrl_c_stops_at_once():
    given, diary = parts(), Diary()

    def step():
        press_ctrl_c()
        press_ctrl_c()

    given["optimizer"].step = step
    with pytest.raises(KeyboardInterrupt):
        fit(**given, epochs=2, callbacks=[diary])
    assert diary.lines[-1] == ("train_end", 0, 0)


def test_a_handler_of_ones_own_is_left_in_place():
    caught = []
    before = signal.signal(signal.SIGINT, lambda number, frame: caught.append(number))
    try:
        done = fit(**parts(), epochs=1, callbacks=[At(2, press_ctrl_c)])
    finally:
        signal.signal(signal.SIGINT, before)
    assert done.finished and caught == [signal.SIGINT]


def test_it_trains_off_the_main_thread():
    results = []
    thread = threading.Thread(target=lambda: results.append(fit(**parts(), epochs=1)))
    thread.start()
    thread.join()
    assert results[0].finished


# ---- going on ----------------------------------------------------------------------------------------


class Stop(Exception):
    pass


@settings(max_examples=settings.default.max_examples // 3)  # each writes two dozen files to the disk
@given(st.integers(1, 12), st.integers(1, 12), st.booleans())
def test_a_run_that_stopped_ends_as_one_that_did_not(tmp_path_factory, first, second, adam):
    """Momentum or Adam, dropout, a scheduler, a shuffled loader: two stops at any two batches."""
    pytest.importorskip("safetensors")
    path = tmp_path_factory.getbasetemp() / "run.safetensors"

    def fresh(seed):
        given = parts(seed)
        if adam:
            given["optimizer"] = optim.Adam(given["model"].parameters(), lr=0.05)
            given["scheduler"] = optim.lr_scheduler.CosineAnnealingLR(given["optimizer"], 4)
        return given

    undisturbed = fit(**fresh(0), epochs=3)

    def stop():
        raise Stop

    resume = None
    for seed, batches in enumerate((first, second)):  # once resumed, the seed must not matter
        callbacks = [Checkpoint(path, 0), At(batches, stop)]
        try:
            fit(**fresh(seed), epochs=3, callbacks=callbacks, resume=resume)
        except Stop:
            resume = path
    done = fit(**fresh(5), epochs=3, resume=path)
    assert bits(done.model) == bits(undisturbed.model)
    timeless = [
        [{k: v for k, v in row.items() if k != "seconds"} for row in run.history]
        for run in (done, undisturbed)
    ]
    assert timeless[0] == timeless[1]


def test_what_is_no_run_is_refused():
    with pytest.raises(KeyError, match="not the state of such a training run: it has no"):
        Training(**parts(), epochs=1).load_state_dict({"model": {}})


def test_a_checkpoint_every_epoch_and_every_so_often(tmp_path, monkeypatch):
    pytest.importorskip("safetensors")
    saved = []
    monkeypatch.setattr(Checkpoint, "save", lambda self, t: saved.append((t.epoch, t.batch)))
    fit(**parts(), epochs=2, callbacks=[Checkpoint(tmp_path / "x", 1000)])
    assert saved == [(1, 0), (2, 0)]
    saved.clear()
    fit(**parts(), epochs=1, callbacks=[Checkpoint(tmp_path / "x", 0)])
    assert saved == [(0, 1), (0, 2), (0, 3), (0, 4), (1, 0)]


def test_what_cannot_be_saved_is_said_before_the_first_batch(tmp_path):
    pytest.importorskip("safetensors")
    given, batches = parts(), iter([])
    with pytest.raises(TypeError, match=r"its loader, a list_iterator, has no state_dict\(\)"):
        fit(**{**given, "loader": batches}, callbacks=[Checkpoint(tmp_path / "x")])
    given["scheduler"].note = object()
    with pytest.raises(TypeError, match="a checkpoint cannot hold scheduler.note, a object"):
        fit(**given, callbacks=[Checkpoint(tmp_path / "x")])


# ---- what is shown -----------------------------------------------------------------------------------

LINE = (
    r"epoch {}/2  loss \d\.\d{{4}}  accuracy \d+\.\d\d %  test loss \d\.\d{{4}}  "
    r"test accuracy \d+\.\d\d %  [\d,]+ images/s  \d+\.\d s"
)


def test_plain_lines_where_there_is_no_terminal(capsys):
    fit(**parts(), epochs=2, callbacks=[Progress(log_interval=3)])
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert err == "" and len(lines) == 4
    assert re.fullmatch(r"epoch 1  batch 3/4  loss \d\.\d{4}, accuracy \d+\.\d\d %", lines[0])
    assert re.fullmatch(LINE.format(1), lines[1]) and re.fullmatch(LINE.format(2), lines[3])


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_live_bar_on_a_terminal(monkeypatch, capsys):
    pytest.importorskip("tqdm")
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    clock = itertools.count()
    monkeypatch.setattr("time.time", lambda: float(next(clock)))  # the bar thinks it is slow
    fit(**parts(), epochs=2, callbacks=[Progress()])
    out, shown = capsys.readouterr().out, terminal.getvalue()
    assert [bool(re.fullmatch(LINE.format(k + 1), line)) for k, line in enumerate(out.split("\n")[:2])]
    assert "epoch 1/2" in shown and "epoch 2/2" in shown
    assert re.search(r"left, loss \d\.\d{4}, accuracy \d+\.\d\d %, [\d,]+ images/s", shown)


def test_a_loader_may_not_know_how_many_batches_there_are(monkeypatch, capsys):
    class Row(IterableDataset):
        def __iter__(self):
            return iter([(ad.ones(5), 1)] * 10)

    pytest.importorskip("tqdm")
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    clock = itertools.count()
    monkeypatch.setattr("time.time", lambda: float(next(clock)))
    fit(**{**parts(), "loader": DataLoader(Row(), 4)}, epochs=2, callbacks=[Progress(log_interval=2)])
    assert capsys.readouterr().out.startswith("epoch 1  batch 2  loss")
    assert re.search(r"\repoch 2/2, loss \d\.\d{4}, accuracy", terminal.getvalue())


def test_a_program_without_a_console_trains_too(monkeypatch, capsys):
    monkeypatch.setattr(sys, "stderr", None)
    fit(**parts(), epochs=1, callbacks=[Progress()], compile=False)
    assert capsys.readouterr().out.count("epoch 1/1") == 1


def test_the_bar_waits_for_what_the_first_batch_has_to_say(monkeypatch):
    pytest.importorskip("tqdm")
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    given = parts()

    def loss(outputs, targets):
        if "compiling" not in terminal.getvalue():
            print("compiling", file=sys.stderr)
        return given["loss"](outputs, targets)

    fit(**{**given, "loss": loss}, epochs=1, callbacks=[Progress()])
    assert terminal.getvalue().startswith("compiling\n")


def test_without_tqdm_a_terminal_gets_lines_too(monkeypatch, capsys):
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    monkeypatch.setitem(sys.modules, "tqdm", None)
    fit(**parts(), epochs=1, callbacks=[Progress()])
    assert "pip install tqdm" in terminal.getvalue()
    assert capsys.readouterr().out.count("epoch 1/1") == 1


def test_the_loss_goes_down():
    done = fit(**{**parts(dropout=0.0), "scheduler": None}, epochs=20)
    assert done.history[-1]["test_loss"] < 0.5 * done.history[0]["test_loss"]
    assert np.isfinite(done.history[-1]["loss"])


@pytest.mark.parametrize("tested", [True, False])
def test_a_plateau_is_judged_by_the_test_loss_or_else_the_loss(tested):
    given = {**parts(dropout=0.0), **({} if tested else {"test_loader": None})}
    schedule = optim.lr_scheduler.ReduceLROnPlateau(given["optimizer"], patience=0, threshold=0.9)
    done = fit(**{**given, "scheduler": schedule}, epochs=3)
    assert [row["lr"] for row in done.history] == pytest.approx(
        [0.1, 0.1, 0.01]
    )  # nothing is that much better
    assert schedule.best == done.history[0]["test_loss" if tested else "loss"]


def test_a_stop_loses_nothing_of_what_workers_draw(tmp_path):
    """Augmented by chance, read by some number of threads, and gone on with by another."""

    def run(epochs, workers, path=None, resume=False):
        ad.manual_seed(3)
        augment = transforms.Compose([transforms.RandomRotation(30), transforms.ToTensor(), nn.Flatten(0)])
        pictures = np.random.default_rng(0).integers(0, 256, (20, 5, 5)).astype(np.uint8)

        class Pictures(Dataset):
            def __getitem__(self, index):
                return augment(pictures[index]), index % 3

            def __len__(self):
                return len(pictures)

        model = nn.Sequential(nn.Linear(25, 8), nn.Dropout(0.3), nn.Linear(8, 3))
        fit(
            model, DataLoader(Pictures(), 6, shuffle=True, num_workers=workers), loss=nn.CrossEntropyLoss(),
            optimizer=optim.RMSprop(model.parameters()), epochs=epochs,
            callbacks=[Checkpoint(path)] if path else [], resume=path if resume else None,
        )  # fmt: skip
        return bits(model)

    pytest.importorskip("safetensors")
    whole = run(3, 0)
    assert run(3, 3) == whole
    path = tmp_path / "run.safetensors"
    run(1, 2, path)
    assert run(3, 1, path, resume=True) == whole

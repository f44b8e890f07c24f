"""The MNIST tool, run for real on a part of the images."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import examples.mnist
from examples.mnist import draw, networks, predict, train
from examples.mnist.train import Metrics, command_line, main
from nn import checkpoint
from nn.training import Checkpoint, Progress, evaluate

pytest.importorskip("safetensors")

ROOT = Path(__file__).parents[2]
FLAGS = """--batch-size --test-batch-size --epochs --lr --gamma --dry-run --seed --log-interval --save-model
--optimizer --momentum --model --hidden --augment --dataset --data --out --resume --threads --eager --limit --target-accuracy"""
SMALL = ["--limit", "640", "--epochs", "2", "--no-pictures"]


load = train.images
read = {}


def images_once(args, train):
    """The data sets, read and checked once for all tests."""
    key = (args.dataset, args.data, args.augment, train)
    if key not in read:
        read[key] = load(args, train)
    return read[key]


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(train, "images", images_once)


def refused(argv, capsys) -> str:
    """What is said before it exits with status 2."""
    with pytest.raises(SystemExit) as stopped:
        main(argv)
    assert stopped.value.code == 2
    return " ".join(capsys.readouterr().err.split())


def test_a_run_and_what_it_leaves_behind(capsys):
    assert main([*SMALL, "--save-model", "--log-interval", "5", "--momentum", "0.9"]) == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert [line.split()[:2] for line in lines[:6]] == [
        ["epoch", "1"], ["epoch", "1"], ["epoch", "1/2"], ["epoch", "2"], ["epoch", "2"], ["epoch", "2/2"],
    ]  # fmt: skip
    shown = re.fullmatch(r"test accuracy: (\d+\.\d\d) %", lines[-1])
    assert shown and float(shown[1]) > 60
    assert "784 -> 512 -> 10, sgd lr 0.01, batch 64, seed 1: 640 training images, 10,000 test" in err

    (run,) = Path("runs").iterdir()
    assert run.name.startswith("mnist-") and str(run) in err
    config = json.loads((run / "config.json").read_text(encoding="utf-8"))
    assert config["limit"] == 640 and config["momentum"] == 0.9 and config["hidden"] == [512]
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [row["epoch"] for row in rows] == [1, 2]
    assert f"{100 * rows[-1]['test_accuracy']:.2f}" == shown[1]
    saved, weights = (checkpoint.load(run / name) for name in ("checkpoint.safetensors", "model.safetensors"))
    assert saved["progress"]["epoch"] == 2
    assert weights["0.weight"].shape == (512, 784)
    assert weights["0.weight"].array.tobytes() == saved["model"]["0.weight"].array.tobytes()


def test_the_target_accuracy_decides_the_exit_status(capsys):
    assert main([*SMALL, "--target-accuracy", "99.9"]) == 1
    out, err = capsys.readouterr()
    assert out.splitlines()[-1].startswith("test accuracy: ") and "below the target of 99.9" in err
    assert main([*SMALL, "--target-accuracy", "10"]) == 0
    assert len(list(Path("runs").iterdir())) == 2  # within the same second, too


def test_a_dry_run_writes_nothing(tmp_path, capsys):
    assert main(["--dry-run", "--batch-size", "32"]) == 0
    assert capsys.readouterr().out.startswith("epoch 1/1  loss 2.")
    assert not any(tmp_path.iterdir())
    assert "neither --out nor --resume" in refused(["--dry-run", "--out", "x"], capsys)


def test_no_run_overwrites_another(capsys):
    assert main([*SMALL, "--out", "a run"]) == 0
    before = {path: path.read_bytes() for path in Path("a run").iterdir()}
    capsys.readouterr()
    said = refused([*SMALL, "--out", "a run", "--seed", "2"], capsys)
    assert "no run overwrites another" in said and "by --resume 'a run'" in said
    assert {path: path.read_bytes() for path in Path("a run").iterdir()} == before
    Path("file").touch()
    assert "cannot be used" in refused([*SMALL, "--out", "file"], capsys)
    assert "--resume" not in refused([*SMALL, "--out", "."], capsys)  # it is not a run


def test_going_on_keeps_the_settings_and_may_raise_the_epochs(capsys):
    assert main([*SMALL, "--out", "run", "--hidden", "16", "--optimizer", "adam", "--save-model"]) == 0
    capsys.readouterr()
    assert main(["--resume", "run"]) == 0
    assert capsys.readouterr().out.startswith("test accuracy")  # there was nothing left to do
    assert main(["--resume", "run", "--epochs", "3"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("epoch 3/3") and "784 -> 16 -> 10, adam lr 0.001" in err
    assert main(["--resume", "run/checkpoint.safetensors"]) == 0  # as --from may name it, too
    for flags in (["--hidden", "17"], ["--seed", "2"], ["--batch-size", "32"], ["--limit", "100"]):
        said = refused(["--resume", "run", *flags], capsys)
        assert f"this run began with {flags[0]}" in said
    assert "give one of them" in refused(["--resume", "run", "--out", "other"], capsys)
    shutil.copyfile("run/model.safetensors", "run/checkpoint.safetensors")
    assert "cannot go on: this is not the state of such a training run" in refused(
        ["--resume", "run"], capsys
    )
    (Path("run") / "config.json").write_text("[1]", encoding="utf-8")
    assert "cannot be read as the settings" in refused(["--resume", "run"], capsys)


@pytest.mark.parametrize(
    "changed, said",
    [
        ({"epochs": 2.5}, "argument --epochs: 2.5 is not a whole number above 0"),
        ({"hidden": [8, "x"]}, "argument --hidden: x is not a whole number above 0"),
        ({"model": "lanet"}, "argument --model: invalid choice: 'lanet'"),
        ({"optimizer": 3}, "argument --optimizer: invalid choice: '3'"),
        ({"augment": "yes"}, "argument --augment: ignored explicit argument 'yes'"),
        ({"layers": 3}, "unrecognized arguments: --layers=3"),
    ],
)
def test_kept_settings_are_checked_like_typed_ones(changed, said, capsys):
    Path("run").mkdir()
    Path("run/checkpoint.safetensors").touch()
    Path("run/config.json").write_text(json.dumps({"hidden": [4], "lr": 0.01, **changed}), encoding="utf-8")
    assert f"{Path('run/config.json')} cannot be read as the settings of a run: {said}" in refused(
        ["--resume", "run"], capsys
    )


@pytest.mark.parametrize("model, shape", [("linear", "784 -> 10"), ("mlp", "784 -> 512 -> 10")])
def test_a_checkpoint_knows_its_network(model, shape, capsys):
    assert main([*SMALL, "--out", "run", "--model", model, "--epochs", "1"]) == 0
    assert f"{shape}, sgd" in capsys.readouterr().err
    network = networks.trained(Path("run"))
    assert (network.name, network.shape, network.dataset, network.epochs) == (model, shape, "mnist", 1)
    saved = checkpoint.load("run/checkpoint.safetensors")["model"]
    for name, weight in network.model.state_dict().items():
        assert weight.array.tobytes() == saved[name].array.tobytes()
    assert not network.model.training and network.classes[7] == "7"
    assert "it cannot go on with lenet" in refused(["--resume", "run", "--model", "lenet"], capsys)


def test_the_last_run_is_the_one_that_is_used(monkeypatch, capsys):
    for name in ("a", "b"):
        assert main([*SMALL, "--hidden", "4", "--out", f"runs/{name}"]) == 0
    assert networks.latest().parent.name == "b"
    os.utime("runs/a/checkpoint.safetensors", (2**32, 2**32))
    assert networks.trained(None).path.parent.name == "a"


def test_resuming_a_folder_without_a_checkpoint_starts_anew(capsys):
    assert main([*SMALL, "--resume", "new", "--hidden", "8"]) == 0
    assert "epoch 1/2" in capsys.readouterr().out
    (Path("new") / "checkpoint.safetensors").unlink()
    (Path("new") / ".checkpoint.safetensors.0123.tmp").touch()  # as a killed save leaves it
    (Path("new") / ".mine.tmp").touch()
    assert main(["--resume", "new"]) == 0
    out, err = capsys.readouterr()
    assert "epoch 1/2" in out and "there is no checkpoint, so this is a new run" in err
    assert json.loads((Path("new") / "config.json").read_text(encoding="utf-8"))["hidden"] == [8]
    assert [path.name for path in Path("new").glob(".*")] == [".mine.tmp"]


def test_what_cannot_be_gone_on_with_is_left_as_it_is(monkeypatch, capsys):
    assert main([*SMALL, "--out", "run", "--hidden", "8"]) == 0
    capsys.readouterr()
    config, state = Path("run/config.json"), Path("run/checkpoint.safetensors")
    settings, whole = config.read_bytes(), state.read_bytes()

    def unchanged():
        return config.read_bytes() == settings and not list(Path("run").glob(".*"))

    state.write_bytes(whole[:1000])
    assert "cannot go on" in refused(["--resume", "run", "--epochs", "9"], capsys) and unchanged()
    state.write_bytes(whole)
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "safetensors", None)
        without.setitem(sys.modules, "safetensors.numpy", None)
        assert "pip install safetensors" in refused(["--resume", "run"], capsys) and unchanged()
    config.write_text(json.dumps({**json.loads(settings), "hidden": [9]}), encoding="utf-8")
    assert "size mismatch" in refused(["--resume", "run"], capsys)
    config.unlink()
    assert "no config.json" in refused(["--resume", "run"], capsys)
    assert not config.exists() and state.read_bytes() == whole


def test_metrics_after_a_kill_are_those_of_the_epochs_it_goes_on_from(tmp_path):
    class At:
        history = [{"epoch": 1}]

    path = tmp_path / "metrics.jsonl"
    path.write_text('{"epoch": 1}\n{"epoch": 2}\n{"ep', encoding="utf-8")
    Metrics(path).on_train_start(At())  # type: ignore[arg-type]
    assert path.read_text(encoding="utf-8") == '{"epoch": 1}\n'


def test_metrics_are_json_whatever_becomes_of_the_loss(capsys):
    def refuse(constant):
        raise ValueError(f"{constant} is not JSON")

    assert main(["--limit", "640", "--epochs", "1", "--lr", "1e30", "--out", "run"]) == 0
    (line,) = Path("run/metrics.jsonl").read_text(encoding="utf-8").splitlines()
    row = json.loads(line, parse_constant=refuse)
    assert row["loss"] is None and row["epoch"] == 1
    assert "the loss is no longer a number" in capsys.readouterr().err
    assert (Path("run") / "curves.png").exists()
    for program in (predict, draw):
        with pytest.raises(SystemExit):
            program.main(["--from", "run", *(["x.png"] if program is predict else ["--html", "x.html"])])
        said = capsys.readouterr().err
        assert re.search("checkpoint.safetensors has weights that are not finite.* a smaller --lr", said), (
            said
        )
    assert not Path("x.html").exists()


def test_pictures_say_that_the_numbers_ended():
    pytest.importorskip("matplotlib")
    from examples.mnist import plots

    row = {"epoch": 1, "loss": 0.5, "test_loss": 0.4, "accuracy": 0.9, "test_accuracy": 0.8}
    history = [row, {**row, "epoch": 2, "loss": np.nan, "test_loss": np.inf}]
    losses, accuracies = plots.curves(history).axes
    assert "not a finite number\nfrom epoch 2 on" in [text.get_text() for text in losses.texts]
    assert [text.get_text() for text in accuracies.texts] == ["training 90.00", "test 80.00"]

    images, labels = np.zeros((3, 28, 28), np.uint8), np.array([0, 1, 2])
    figure = plots.mistakes(np.full((3, 10), np.nan), images, labels, list("0123456789"))
    assert "gives no answers" in figure.get_suptitle() and not any(axes.get_title() for axes in figure.axes)
    figure = plots.mistakes(np.eye(10)[[3, 1, 2]], images, labels, list("0123456789"))
    assert (
        "Most confidently wrong" in figure.get_suptitle()
        and figure.axes[0].get_title() == "3 (100.0 %)\nis 0"
    )


def test_a_full_disk_ends_the_run_in_one_sentence(monkeypatch, capsys):
    def full(path, content):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    assert main([*SMALL, "--out", "run"]) == 0
    capsys.readouterr()
    monkeypatch.setattr(Checkpoint, "save", lambda self, training: full(self.path, b""))
    said = refused(["--resume", "run", "--epochs", "3"], capsys)
    assert "the run cannot be written down" in said and os.strerror(errno.ENOSPC) in said
    assert said.endswith("-m examples.mnist --resume run")
    monkeypatch.setattr(checkpoint, "write_atomically", full)
    assert os.strerror(errno.ENOSPC) in refused([*SMALL, "--out", "another"], capsys)


@pytest.mark.parametrize("where", ["nn.training.evaluate", "examples.mnist.train.evaluate"])
def test_ctrl_c_while_it_tests(where, monkeypatch, capsys):
    def press(*args):
        signal.raise_signal(signal.SIGINT)
        return evaluate(*args)

    with monkeypatch.context() as patched:
        patched.setattr(where, press)
        assert main([*SMALL, "--out", "run", "--hidden", "8"]) == 130
    out, err = capsys.readouterr()
    done = out.count("test loss")
    assert f"stopped after epoch {done}. To go on:" in err
    assert main(["--resume", "run"]) == 0
    assert capsys.readouterr().out.count("test loss") == 2 - done


def test_ctrl_c_before_it_begins(monkeypatch, capsys):
    def press(args, train):
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(train, "images", press)
    assert main(SMALL) == 130
    assert "stopped. There is nothing to go on from" in capsys.readouterr().err
    assert not Path("runs").exists()


def test_ctrl_c_saves_and_says_how_to_go_on(monkeypatch, capsys):
    def press(self, training):
        if training.batch == 4:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(Progress, "on_batch_end", press)
    assert main([*SMALL, "--out", "my run"]) == 130
    err = capsys.readouterr().err
    assert "stopped after epoch 0 and 4 batches of the next. To go on:" in err
    assert "-m examples.mnist --resume 'my run'" in err
    assert checkpoint.load("my run/checkpoint.safetensors")["progress"]["batch"] == 4


POSIX = pytest.mark.skipif(os.name != "posix", reason="signals and pipes as POSIX has them")


LONG = ["--limit", "4000", "--batch-size", "4", "--epochs", "3", "--hidden", "16", "--momentum", "0.9"]


def after_an_epoch(*flags: str) -> subprocess.Popen:
    """The program, run by the path of its folder from wherever we are, with an epoch done. It has so
    much to say about the next ones that it can't be through with them before somebody listens."""
    program = os.path.relpath(ROOT / "examples" / "mnist")
    process = subprocess.Popen(
        [sys.executable, program, *LONG, "--log-interval", "1", "--threads", "1", "--no-pictures", *flags],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    while not process.stdout.readline().startswith("epoch 1/3"):
        pass
    return process


@POSIX
def test_the_command_it_says_ends_as_if_it_had_not_been_stopped(tmp_path):
    process = after_an_epoch("--out", "my run")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate()
    assert process.returncode == 130 and "Traceback" not in err
    command = err.splitlines()[-1].strip()
    done = subprocess.run(command, shell=True, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert main([*LONG, "--threads", "1", "--no-pictures", "--out", "undisturbed"]) == 0
    stopped, whole = (checkpoint.load(f"{run}/checkpoint.safetensors") for run in ("my run", "undisturbed"))
    for name, weight in whole["model"].items():
        assert weight.array.tobytes() == stopped["model"][name].array.tobytes()


@POSIX
def test_nobody_reads_on():
    process = after_an_epoch("--out", "run")
    process.stdout.close()  # as `| head -1` does
    err = process.stderr.read()
    assert process.wait() == 141
    assert "the output is closed. To go on:" in err
    assert "Traceback" not in err and "Exception ignored" not in err
    process.stderr.close()


@pytest.mark.parametrize("model", ["--hidden 5", "--model linear", "--model lenet"])
def test_pictures(model, capsys):
    pytest.importorskip("matplotlib")
    from matplotlib.image import imread

    assert main(["--limit", "256", "--epochs", "1", *model.split(), "--out", "run"]) == 0
    for name in ("curves", "confusion", "mistakes", "weights"):
        picture = imread(Path("run") / f"{name}.png")
        assert min(picture.shape[:2]) > 300 and picture[..., :3].std() > 0.01


def test_without_matplotlib_there_are_no_pictures_and_a_notice(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.delitem(sys.modules, "examples.mnist.plots", raising=False)
    monkeypatch.delattr(examples.mnist, "plots", raising=False)
    assert main(["--limit", "64", "--epochs", "1", "--out", "run"]) == 0
    out, err = capsys.readouterr()
    assert "pip install matplotlib" in err and "test accuracy" in out.splitlines()[-1]


def test_without_safetensors_there_are_no_checkpoints_and_a_notice(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "safetensors", None)
    monkeypatch.setitem(sys.modules, "safetensors.numpy", None)
    assert main([*SMALL, "--out", "run"]) == 0
    assert "pip install safetensors" in capsys.readouterr().err
    assert {path.name for path in Path("run").iterdir()} == {"config.json", "metrics.jsonl"}


@pytest.mark.parametrize(
    "argv, words",
    [
        (["--epochs", "-1"], "--epochs: -1 is not a whole number above 0"),
        (["--batch-size", "2.5"], "2.5 is not a whole number above 0"),
        (["--hidden", "64", "0"], "0 is not a whole number above 0"),
        (["--log-interval", "-1"], "-1 is not a whole number, 0 or more"),
        (["--seed", "x"], "x is not a whole number"),
        (["--lr", "nan"], "nan is not a positive number"),
        (["--gamma", "inf"], "inf is not a positive number"),
        (["--momentum", "1"], "1 is not a number from 0 to below 1"),
        (["--target-accuracy", "nan"], "nan is not a number from 0 to 100"),
        (["--optimizer", "rmsprop"], "choose from"),
        (["--hidden", "10000000000000000"], "784 -> 10000000000000000 -> 10 units does not fit"),
        (["--out", "file/run"], "the run's folder cannot be used"),
        (["--optimizer", "adam", "--momentum", "0.5"], "--momentum is for sgd"),
        (["--model", "cnn"], "choose from"),
        (["--model", "lenet", "--hidden", "3"], "--hidden is for mlp: lenet has its own layers"),
        (["--data", "file"], "MNIST"),
    ],
)
def test_wrong_flags(argv, words, capsys):
    Path("file").touch()
    said = refused(argv, capsys)
    assert words in said and "usage" not in said and len(said) < 700


def test_help_teaches(capsys):
    text = command_line().format_help()
    assert all(flag in text for flag in FLAGS.split())
    assert "things to try" in text and "what a run leaves" in text
    assert max(map(len, text.splitlines())) < 100


def test_as_a_file_in_a_folder_with_spaces_beside_another_examples_package(tmp_path):
    """And with a display that does not exist."""
    checkout, foreign = tmp_path / "my checkout", tmp_path / "foreign"
    kept = shutil.ignore_patterns("data", "__pycache__", "pictures")
    shutil.copytree(ROOT / "examples", checkout / "examples", ignore=kept)
    (foreign / "examples").mkdir(parents=True)
    (foreign / "examples" / "__init__.py").write_text("raise SystemExit('the other one')", encoding="utf-8")
    path = os.pathsep.join([str(foreign), str(ROOT)])
    environment = {**os.environ, "PYTHONPATH": path, "DISPLAY": ":99", "PYTHONIOENCODING": "gbk"}
    data = str(ROOT / "examples" / "mnist" / "data")
    run = subprocess.run(
        [sys.executable, str(checkout / "examples" / "mnist" / "train.py"), "--limit", "64",
         "--epochs", "1", "--out", str(tmp_path / "run"), "--data", data, "--threads", "1"],
        cwd=tmp_path, env=environment, capture_output=True, text=True,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert re.search(r"^test accuracy: \d+\.\d\d %\n\Z", run.stdout, re.MULTILINE)
    assert (tmp_path / "run" / "curves.png").exists() or "pip install" in run.stderr
    for program in (["-m", "examples.mnist"], [str(checkout / "examples" / "mnist")]):
        run = subprocess.run(
            [sys.executable, *program, "--help"],
            cwd=checkout, env=environment, capture_output=True, text=True,
        )  # fmt: skip
        assert run.returncode == 0 and "things to try" in run.stdout, run.stderr

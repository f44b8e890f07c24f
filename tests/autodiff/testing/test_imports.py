"""What the kit needs, and when."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]


def run(code):
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, encoding="utf-8"
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_engine_does_not_import_the_kit_nor_the_kit_its_libraries():
    run("import sys, autodiff; assert not {'autodiff.testing', 'hypothesis', 'pytest'} & set(sys.modules)")
    run(
        "import sys, autodiff.testing\n"
        "assert not {'hypothesis', 'pytest', 'matplotlib', 'numba'} & set(sys.modules)"
    )


def test_without_the_libraries_check_gradients_works_and_the_rest_says_what_to_install():
    run(
        "import sys; sys.modules['hypothesis'] = sys.modules['pytest'] = None\n"
        "import autodiff as ad\n"
        "from autodiff.testing import check_gradients\n"
        "assert check_gradients(ad.tanh, [0.5, 1.0]).ok\n"
        "for name in ('gradient_test', 'programs', 'strategies', 'OPERATIONS'):\n"
        "    try: getattr(__import__('autodiff.testing').testing, name)\n"
        "    except ImportError as error: assert \"pip install -e '.[test]'\" in str(error), error\n"
        "    else: raise SystemExit(name)\n"
    )


def test_without_hypothesis_a_command_says_what_to_type():
    run(
        "import sys; sys.modules['hypothesis'] = None\n"
        "import contextlib, io\n"
        "from autodiff.testing.__main__ import main\n"
        "for name in ('grade', 'museum', 'mutate'):\n"
        "    with contextlib.redirect_stderr(io.StringIO()) as out: assert main([name, '--help']) == 2\n"
        "    assert out.getvalue().count('\\n') == 1 and \"pip install -e '.[test]'\" in out.getvalue(), out.getvalue()\n"
    )

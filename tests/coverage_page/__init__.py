"""docs/coverage.md: which of PyTorch's names are here, and what the tests check of each operation.

    python -m tests.coverage_page             write the page from the two records beside this file
    python -m tests.coverage_page --checks    run the tests that the second part tells of, and record them
    python -m tests.coverage_page --checks "tests/autodiff/test_gradients.py::test_derivatives[relu]"
                                              only these, and add to the record what they check
    python -m tests.coverage_page --names     list PyTorch's names anew, from the one that is installed

`names.json` is made by `--names`, `checks.json` by `--checks`. What is here of those names is asked when the
page is written, as an unmodified program would ask. tests/test_coverage_page.py says when all this has fallen
behind.
"""

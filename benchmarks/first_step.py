"""The start of an MNIST run, timed from within: what starts.py runs as a process of its own.

    python benchmarks/first_step.py ours|torch SECONDS

SECONDS is when it was launched, by `time.time()`. Printed is a JSON object of the seconds that each phase took, Python's
own start being part of the first. After the first step comes what else a run needs compiled: a last batch of 32 and
a test of 1,000 images.
"""

import sys
import time

LAUNCHED = float(sys.argv[2])
BATCH, LAST, TESTED = 64, 32, 1000


def ours(done):
    import nn
    from nn import transforms
    from nn.data import DataLoader, Subset
    from nn.datasets import MNIST
    from nn.training import Callback, fit

    done("imports")
    import digits

    normalise = transforms.Normalize((digits.MEAN,), (digits.STD,))
    transform = transforms.Compose([transforms.ToTensor(), normalise])
    train, test = (MNIST(digits.FOLDER, train=each, transform=transform) for each in (True, False))
    done("reading the files")
    model = nn.MLP(784, 512, 10)
    optimizer = nn.optim.SGD(model.parameters(), lr=0.01)
    loader = DataLoader(Subset(train, range(BATCH + LAST)), batch_size=BATCH)

    class First(Callback):
        def on_batch_end(self, training):
            if training.batch == 1:
                done("first step")

    tests = DataLoader(Subset(test, range(TESTED)), batch_size=TESTED)
    fit(
        model, loader, loss=nn.CrossEntropyLoss(), optimizer=optimizer, test_loader=tests, callbacks=[First()]
    )
    done("what else is needed")


def torch(done):
    import torch
    from torch import nn
    from torch.utils.data import DataLoader, Subset
    from vision import MNIST, transforms

    done("imports")
    import digits

    normalise = transforms.Normalize((digits.MEAN,), (digits.STD,))
    transform = transforms.Compose([transforms.ToTensor(), normalise])
    train, test = (MNIST(digits.FOLDER, train=each, transform=transform) for each in (True, False))
    done("reading the files")
    model = nn.Sequential(nn.Flatten(), nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 10))
    optimizer, criterion = torch.optim.SGD(model.parameters(), lr=0.01), nn.CrossEntropyLoss()
    for k, (x, y) in enumerate(DataLoader(Subset(train, range(BATCH + LAST)), batch_size=BATCH)):
        optimizer.zero_grad()
        criterion(model(x), y).backward()
        optimizer.step()
        if k == 0:
            done("first step")
    with torch.no_grad():
        for x, y in DataLoader(Subset(test, range(TESTED)), batch_size=TESTED):
            criterion(model(x), y).item()
    done("what else is needed")


def main():
    import json

    found, since = {}, [LAUNCHED]

    def done(phase):
        now = time.time()
        found[phase] = now - since[0]
        since[0] = now

    {"ours": ours, "torch": torch}[sys.argv[1]](done)
    print(json.dumps(found))


if __name__ == "__main__":
    main()

"""A data set and transforms of one's own, split, shuffled by a sampler, put together by a function."""

import csv
import os

import torch
from torch.utils.data import ConcatDataset, DataLoader, Dataset, Subset, TensorDataset, random_split
from torchvision import transforms
from torchvision.transforms import Lambda

os.makedirs("points", exist_ok=True)
with open("points/labels.csv", "w", newline="", encoding="utf-8") as file:
    csv.writer(file).writerows([[f"{k}.txt", k % 3] for k in range(20)])
for k in range(20):
    with open(f"points/{k}.txt", "w", encoding="utf-8") as file:
        file.write(f"{k / 2} {k * k / 10}")


class PointsDataset(Dataset):
    def __init__(self, annotations_file, folder, transform=None, target_transform=None):
        with open(annotations_file, encoding="utf-8") as file:
            self.labels = list(csv.reader(file))
        self.folder, self.transform, self.target_transform = folder, transform, target_transform

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, idx):
        if torch.is_tensor(idx):
            idx = idx.tolist()
        name, label = self.labels[idx]
        with open(os.path.join(self.folder, name), encoding="utf-8") as file:
            sample = [float(word) for word in file.read().split()]
        label = int(label)
        if self.transform:
            sample = self.transform(sample)
        if self.target_transform:
            label = self.target_transform(label)
        return {"point": sample, "label": label}


class Scale:
    def __init__(self, factor):
        self.factor = factor

    def __call__(self, sample):
        return sample * self.factor


points = PointsDataset(
    "points/labels.csv",
    "points",
    transform=transforms.Compose([Lambda(torch.tensor), Scale(2.0)]),
    target_transform=Lambda(
        lambda y: torch.zeros(3, dtype=torch.float).scatter_(0, torch.tensor(y), value=1)
    ),
)
print(len(points), points[3])
for i, batch in enumerate(DataLoader(points, batch_size=8)):
    print(i, batch["point"].size(), batch["label"].size(), batch["point"].sum().item())

first, second = random_split(points, [0.75, 0.25], generator=torch.Generator().manual_seed(42))
print(len(first), len(second), sorted([*first.indices, *second.indices]) == list(range(20)))
both = ConcatDataset([Subset(points, [1, 3]), Subset(points, range(5, 8))])
print(len(both), both[2]["point"])

generator = torch.Generator().manual_seed(0)
shuffled = DataLoader(TensorDataset(torch.arange(10), torch.arange(10) ** 2), batch_size=3, shuffle=True,
                      drop_last=True, generator=generator)  # fmt: skip
seen = [x for xs, ys in shuffled for x in xs.tolist()]
print(len(shuffled), len(seen), len(set(seen)))


def pad(batch):
    longest = max(len(x) for x in batch)
    return torch.stack([torch.cat([x, torch.zeros(longest - len(x))]) for x in batch])


ragged = [torch.ones(n) for n in (1, 3, 2, 4)]
for batch in DataLoader(ragged, batch_size=2, collate_fn=pad):
    print(batch)

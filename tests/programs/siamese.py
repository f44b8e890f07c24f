"""A siamese network: one convolutional branch looks at two digits, and a head says whether they are the same."""

import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
from same_start import same_start
from torch.optim.lr_scheduler import StepLR
from torch.utils.data import DataLoader, Dataset
from torchvision import datasets


class Pairs(Dataset):
    """The k-th digit with one of its own class, or, every other time, of another."""

    def __init__(self, root, train):
        super().__init__()
        self.dataset = datasets.MNIST(root, train=train)
        self.data = self.dataset.data.unsqueeze(1).clone()
        self.group = {c: (self.dataset.targets == c).nonzero(as_tuple=False).view(-1) for c in range(10)}

    def __len__(self):
        return self.data.shape[0]

    def __getitem__(self, index):
        label = self.dataset.targets[index].item()
        other = label if index % 2 == 0 else (label + 1 + index % 9) % 10
        candidates = self.group[other]
        partner = candidates[index % len(candidates)].item()
        target = torch.tensor(1 if other == label else 0, dtype=torch.float)
        return self.data[index].float() / 255, self.data[partner].float() / 255, target


class SiameseNetwork(nn.Module):
    def __init__(self):
        super().__init__()
        self.branch = nn.Sequential(nn.Conv2d(1, 4, 5, stride=2), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten())
        self.fc = nn.Sequential(nn.Linear(2 * 4 * 6 * 6, 16), nn.ReLU(inplace=True), nn.Linear(16, 1))
        self.sigmoid = nn.Sigmoid()
        self.fc.apply(self.init_weights)

    def init_weights(self, m):
        if isinstance(m, nn.Linear):
            torch.nn.init.xavier_uniform_(m.weight)
            m.bias.data.fill_(0.01)

    def forward_once(self, x):
        return self.branch(x)

    def forward(self, input1, input2):
        both = torch.cat((self.forward_once(input1), self.forward_once(input2)), 1)
        return self.sigmoid(self.fc(both))


device = torch.device("cpu")
model = same_start(SiameseNetwork()).to(device)
optimizer = optim.Adadelta(model.parameters(), lr=0.2)
scheduler = StepLR(optimizer, step_size=1, gamma=0.7)
criterion = nn.BCELoss()
train_loader = DataLoader(Pairs("data", train=True), batch_size=64)
test_loader = DataLoader(Pairs("data", train=False), batch_size=64)

for epoch in range(1, 3):
    model.train()
    for batch_idx, (images_1, images_2, targets) in enumerate(train_loader):
        optimizer.zero_grad()
        outputs = model(images_1.to(device), images_2.to(device)).squeeze()
        loss = criterion(outputs, targets.to(device))
        loss.backward()
        optimizer.step()
        if batch_idx % 3 == 0:
            print(f"epoch {epoch}, batch {batch_idx}: {loss.item():.5f}")
    model.eval()
    test_loss, correct = 0, 0
    with torch.no_grad():
        for images_1, images_2, targets in test_loader:
            outputs = model(images_1, images_2).squeeze()
            test_loss += F.binary_cross_entropy(outputs, targets, reduction="sum").item()
            pred = torch.where(outputs > 0.5, 1, 0)
            correct += pred.eq(targets.view_as(pred)).sum().item()
    print(f"test: {test_loss / len(test_loader.dataset):.5f}, {correct}/{len(test_loader.dataset)}")
    scheduler.step()

"""The classic program: a network with one hidden layer learns digits."""

import torch
import torch.nn as nn
import torch.optim as optim
from same_start import same_start
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import MNIST

transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.1307,), (0.3081,))])
train_loader = DataLoader(MNIST(root="./data", train=True, transform=transform), batch_size=64)
test_loader = DataLoader(MNIST(root="./data", train=False, transform=transform), batch_size=64, shuffle=False)


class Digits(nn.Module):
    def __init__(self):
        super(Digits, self).__init__()
        self.fc1 = nn.Linear(784, 32)
        self.relu = nn.ReLU()
        self.fc2 = nn.Linear(32, 10)

    def forward(self, x):
        x = x.view(-1, 784)
        return self.fc2(self.relu(self.fc1(x)))


model = same_start(Digits())
criterion = nn.CrossEntropyLoss()
optimizer = optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=1e-4)

for epoch in range(3):
    running_loss = 0.0
    for images, labels in train_loader:
        optimizer.zero_grad()
        outputs = model(images)
        loss = criterion(outputs, labels)
        loss.backward()
        optimizer.step()
        running_loss += loss.item()
    print(f"epoch {epoch + 1}: loss {running_loss / len(train_loader):.5f}")

correct = total = 0
with torch.no_grad():
    for images, labels in test_loader:
        _, predicted = torch.max(model(images).data, 1)
        total += labels.size(0)
        correct += (predicted == labels).sum().item()
print(f"accuracy: {100 * correct // total}%")

"""Saving and loading: a state_dict, a checkpoint to go on from, a part of a model, a stream in memory."""

import io

import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
from same_start import same_start


class TheModel(nn.Module):
    def __init__(self):
        super(TheModel, self).__init__()
        self.conv1 = nn.Conv2d(1, 2, 3)
        self.pool = nn.MaxPool2d(2, 2)
        self.fc1 = nn.Linear(2 * 3 * 3, 5)

    def forward(self, x):
        x = self.pool(F.relu(self.conv1(x)))
        return self.fc1(x.view(-1, 2 * 3 * 3))


model = same_start(TheModel())
optimizer = optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
print("the model's state_dict:")
for name in model.state_dict():
    print(name, "\t", model.state_dict()[name].size())
print("the optimizer's state_dict:")
for name in optimizer.state_dict():
    print(name, "\t", sorted(optimizer.state_dict()[name])[:1] if name == "state" else "")

x = torch.cos(torch.arange(2 * 64.0)).view(2, 1, 8, 8)
y = torch.tensor([1, 3])


def step():
    optimizer.zero_grad()
    loss = F.cross_entropy(model(x), y)
    loss.backward()
    optimizer.step()
    return loss


for epoch in range(3):
    loss = step()
torch.save(
    {
        "epoch": epoch,
        "model_state_dict": model.state_dict(),
        "optimizer_state_dict": optimizer.state_dict(),
        "loss": loss.detach(),
    },
    "checkpoint.tar",
)
print(f"went on: {step().item():.6f}, {step().item():.6f}")

model = TheModel()
optimizer = optim.SGD(model.parameters(), lr=0.5)
checkpoint = torch.load("checkpoint.tar", weights_only=True)
model.load_state_dict(checkpoint["model_state_dict"])
optimizer.load_state_dict(checkpoint["optimizer_state_dict"])
print(checkpoint["epoch"], f"{checkpoint['loss']:.6f}", optimizer.param_groups[0]["momentum"])
print(f"went on: {step().item():.6f}, {step().item():.6f}")

torch.save(model.state_dict(), "model.pt")
other = nn.Sequential()
other.conv1 = nn.Conv2d(1, 2, 3)
result = other.load_state_dict(torch.load("model.pt", map_location=torch.device("cpu")), strict=False)
print(result.missing_keys, result.unexpected_keys, torch.equal(other.conv1.weight, model.conv1.weight))
try:
    other.load_state_dict(torch.load("model.pt", map_location="cpu"))
except RuntimeError as error:
    print(str(error).splitlines()[0])

buffer = io.BytesIO()
torch.save([torch.arange(3), {"a": torch.tensor(2.5, requires_grad=True), "b": (1, "two", None)}], buffer)
buffer.seek(0)
numbers, rest = torch.load(buffer)
print(numbers, rest["a"].requires_grad, rest["b"])

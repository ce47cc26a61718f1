"""Search steps of quark0/darts, a checkout of which is argv[1], on the CPU: one for every line on
standard input, each answered by its seconds and the peak resident memory in bytes, as JSON."""
import argparse
import json
import resource
import sys
import time

folder, batch, threads = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
sys.path.insert(0, folder + "/cnn")

import torch

torch.set_num_threads(threads)
# The checkout was written for one GPU; here its tensors stay where they are.
torch.Tensor.cuda = lambda self, *args, **kwargs: self
torch.nn.Module.cuda = lambda self, *args, **kwargs: self

from architect import Architect
from model_search import Network

criterion = torch.nn.CrossEntropyLoss()
model = Network(16, 10, 8, criterion)
sgd = torch.optim.SGD(model.parameters(), 0.025, momentum=0.9, weight_decay=3e-4)
architect = Architect(model, argparse.Namespace(momentum=0.9, weight_decay=3e-4, arch_learning_rate=3e-4, arch_weight_decay=1e-3))
model.train()


def sample():
    return torch.randn(batch, 3, 32, 32), torch.randint(0, 10, (batch,))


def step(train, valid):
    architect.step(*train, *valid, 0.025, sgd, unrolled=False)
    sgd.zero_grad()
    logits = model(train[0])
    loss = criterion(logits, train[1])
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 5)
    sgd.step()
    return loss.item()


for _ in sys.stdin:
    train, valid = sample(), sample()
    start, cpu = time.perf_counter(), time.process_time()
    step(train, valid)
    print(json.dumps({"seconds": time.perf_counter() - start, "cpu": time.process_time() - cpu,
                      "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}), flush=True)

"""Bilevel steps of first and second order (DARTS, arXiv:1806.09055, section 2.3)."""
import torch


def first_order(supernet, sgd, rate, train, valid):
    """d(architecture's loss)/d(architecture) at the current weights."""
    return torch.autograd.grad(supernet.arch_loss(*valid), list(supernet.arch.values()))


def second_order(supernet, sgd, rate, train, valid):
    """The same after one step of the weights, through it: eq. 7, its product with the Hessian by the difference of eq. 8. The
    step is the optimizer's own, with momentum and weight decay."""
    arch, names = list(supernet.arch.values()), [name for name, _ in supernet.weights.named_parameters()]
    weights = list(supernet.weights.parameters())
    options = sgd.param_groups[0]
    ahead = {}
    for name, w, g in zip(names, weights, torch.autograd.grad(supernet.training_loss(*train), weights)):
        moved = g + options["weight_decay"] * w.detach()
        buffer = sgd.state[w].get("momentum_buffer")
        if buffer is not None:
            moved = moved + options["momentum"] * buffer
        ahead[name] = (w.detach() - rate * moved).requires_grad_()
    grads = torch.autograd.grad(supernet.arch_loss(*valid, ahead), arch + list(ahead.values()))
    direct, v = grads[:len(arch)], grads[len(arch):]
    r = 0.01 / torch.sqrt(sum((g * g).sum() for g in v))
    at = [w.detach().clone() for w in weights]
    sides = []
    for sign in (1, -1):
        put(weights, [w + sign * r * g for w, g in zip(at, v)])
        sides.append(torch.autograd.grad(supernet.training_loss(*train), arch))
    put(weights, at)
    return [d - rate * (plus - minus) / (2 * r) for d, plus, minus in zip(direct, *sides)]


def put(parameters, values):
    with torch.no_grad():
        for p, v in zip(parameters, values):
            p.copy_(v)


def step(supernet, hyper, adam, sgd, clip, train, valid):
    """One step of the architecture, then one of the weights. Returns the architecture's gradient and the training loss."""
    parameters = list(supernet.arch.values())
    grads = hyper(supernet, sgd, sgd.param_groups[0]["lr"], train, valid)
    for p, g in zip(parameters, grads):
        p.grad = g
    adam.step()
    sgd.zero_grad()
    loss = supernet.training_loss(*train)
    loss.backward(inputs=list(supernet.weights.parameters()))
    torch.nn.utils.clip_grad_norm_(supernet.weights.parameters(), clip)
    sgd.step()
    return grads, loss.detach()

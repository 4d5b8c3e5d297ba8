"""Parts of a network that a recipe's ``[optim]`` keeps from training. Knows no optimiser."""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from train.errors import TrainError
from train.settings.fit import OptimConfig


def _norms(model: nn.Module) -> Iterator[_BatchNorm]:
    return (module for module in model.modules() if isinstance(module, _BatchNorm))


class Frozen:
    """The parts of a network that a recipe freezes: no gradient, evaluation mode.

    Raises:
        TrainError: a name in `optim.freeze` is no part of the network.
    """

    def __init__(self, model: nn.Module, config: OptimConfig) -> None:
        self.model = model
        self.parts: list[nn.Module] = []
        for name in config.freeze:
            try:
                self.parts.append(model.get_submodule(name))
            except AttributeError as error:
                known = ", ".join(child for child, _ in model.named_children())
                raise TrainError(
                    f"optim.freeze: the network has no part {name!r}; known: {known}, "
                    "and the modules inside them"
                ) from error
        if config.freeze_batchnorm != "none":
            scope = model if config.freeze_batchnorm == "all" else model.get_submodule("backbone")
            self.parts += _norms(scope)
        for part in self.parts:
            part.requires_grad_(False)
        for scope, momentum in (
            (model, config.batchnorm_momentum),
            (model.get_submodule("backbone"), config.backbone_batchnorm_momentum),
        ):
            for norm in _norms(scope) if momentum else ():
                norm.momentum = momentum

    def add(self, part: nn.Module | None) -> None:
        """Freeze one more part, if the network has it."""
        if part is not None:
            part.requires_grad_(False)
            self.parts.append(part)

    def train(self) -> None:
        """Put the network into training mode, all but the frozen parts."""
        self.model.train()
        for part in self.parts:
            part.eval()

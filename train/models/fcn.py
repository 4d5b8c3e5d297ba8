"""The plainest head: what every other is compared with."""

from __future__ import annotations

from torch import Tensor, nn

from train.models.layers import conv_bn_relu


class FcnHead(nn.Module):
    """One convolution before the classifier, as torchvision's FCN (after Long et al. 2015).

    ``[N, c_in, h, w] -> [N, channels, h, w]``; torchvision's has a 3x3 and c_in / 4 channels.
    """

    def __init__(self, c_in: int, channels: int, *, kernel: int = 3, dropout: float = 0.1) -> None:
        super().__init__()
        self.fuse = conv_bn_relu(c_in, channels, kernel)
        self.dropout = nn.Dropout(dropout)
        self.out_channels = channels

    def forward(self, x_NChw: Tensor) -> Tensor:
        """Features for the classifier."""
        out: Tensor = self.dropout(self.fuse(x_NChw))
        return out

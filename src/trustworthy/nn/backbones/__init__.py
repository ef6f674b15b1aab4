"""Networks of the dissertation's experiments and small ones for quick work.

Each takes images in [0, 1] (or rows of a table; `BiLSTM` and `WordTransformer` texts of word vectors, with rows of
zeros for padding) and returns logits (batch, classes). Weights are drawn from the global torch stream, as in torch:
call `torch.manual_seed` first. None but `LeNet` normalises its input; put a `Normalize` in front:
`nn.Sequential(Normalize(mean, std), vgg16(...))`.
"""

from trustworthy.nn.backbones.bilstm import BiLSTM
from trustworthy.nn.backbones.densenet121 import densenet121
from trustworthy.nn.backbones.lenet import LeNet
from trustworthy.nn.backbones.mlp import MLP
from trustworthy.nn.backbones.resnet50 import resnet50
from trustworthy.nn.backbones.resnext import ResNeXt
from trustworthy.nn.backbones.small_conv import SmallConvNet
from trustworthy.nn.backbones.vgg import model_a_adv_bnn, model_a_rse, vgg16
from trustworthy.nn.backbones.word_transformer import WordTransformer

__all__ = [
    "MLP", "BiLSTM", "LeNet", "ResNeXt", "SmallConvNet", "WordTransformer", "densenet121", "model_a_adv_bnn",
    "model_a_rse", "resnet50", "vgg16",
]  # fmt: skip

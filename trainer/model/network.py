"""The network: a small residual CNN, from scratch, for one grey image.

Read from top to bottom: the image is put on a common scale, a stem and four residual stages turn it
into a map of features, and the pooled features answer two questions: pneumonia, and, given
pneumonia, viral. Because a bias-free dense layer follows global average pooling, the same layer
applied at each position of the map is the class activation map (Zhou et al., CVPR 2016), which for
this shape equals Grad-CAM on the logit (Selvaraju et al., ICCV 2017), so one forward pass gives the
answer and where it comes from. The input has one size for every network; a smaller one resizes it.

Built-in Keras layers only, so that `keras.models.load_model` opens the file anywhere and the graph
exports to ONNX.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import layers

from shared.preprocessing import INPUT_SIZE
from trainer.config.recipe import Recipe

Normalisation = Callable[..., keras.layers.Layer]
CELL = 32  # pixels of the network's own input to a side of a cell of its last map


def build_network(
    recipe: Recipe, normalisation: Normalisation = layers.BatchNormalization
) -> keras.Model:
    """A fresh network with random weights.

    Residual stages after He et al. (CVPR 2016), with the shortcut pooled rather than strided (He et
    al., "Bag of Tricks", CVPR 2019) so that no pixel is dropped.

    Args:
        recipe: Size (of several the first), widths, depth and dropout are read.
        normalisation: The batch normalisation layer; training may pass one that computes the same
            faster.

    Returns:
        A model from (N, 224, 224, 1) float32 in [0, 1] to a list of outputs, all float32:
        `pneumonia` (N, 1) and `viral` (N, 1), sigmoids, the second given pneumonia; `logits` (N,
        2), the same before the sigmoid; `activation_map` (N, 7, 7, 1), whose mean is the pneumonia
        logit, on the same cells whatever the size: its own has size / 32 a side.
    """
    image = keras.Input((INPUT_SIZE, INPUT_SIZE, 1), name="image")
    size = recipe.input_sizes[0]
    x = _by_area(image, INPUT_SIZE, size, "resize")
    # Mean and contrast of the exposure are the machine's, not the patient's.
    x = layers.GroupNormalization(
        groups=1, center=False, scale=False, epsilon=1e-4, name="exposure", dtype="float32"
    )(x)
    x = _convolution(x, recipe.stem, 3, 2, normalisation, "stem")
    x = layers.Activation("relu", name="stem_relu")(x)
    x = layers.MaxPooling2D(2, padding="same", name="stem_pool")(x)
    for stage, width in enumerate(recipe.stage_widths, start=1):
        for block in range(1, recipe.depth + 1):
            stride = 2 if block == 1 and stage > 1 else 1
            x = _residual(x, width, stride, normalisation, f"stage{stage}_block{block}")
    features = layers.Activation("linear", dtype="float32", name="feature_map")(x)
    pooled = layers.GlobalAveragePooling2D(name="pooled", dtype="float32")(features)
    dropped = layers.Dropout(recipe.dropout, name="dropout", dtype="float32")(pooled)

    # No bias: the position-wise sum is then the logit itself, and calibration adds the bias.
    pneumonia_head = layers.Dense(1, use_bias=False, name="pneumonia_logit", dtype="float32")
    viral_head = layers.Dense(1, name="viral_logit", dtype="float32")
    pneumonia, viral = pneumonia_head(dropped), viral_head(dropped)
    return keras.Model(
        image,
        [
            layers.Activation("sigmoid", name="pneumonia", dtype="float32")(pneumonia),
            layers.Activation("sigmoid", name="viral", dtype="float32")(viral),
            layers.Concatenate(name="logits", dtype="float32")([pneumonia, viral]),
            layers.Activation("linear", name="activation_map", dtype="float32")(
                _by_area(pneumonia_head(features), size // CELL, INPUT_SIZE // CELL, "map")
            ),
        ],
        name="network",
    )


def _by_area(x: Any, before: int, after: int, name: str) -> Any:
    """A square image or map at another size: the mean of what each new cell covers.

    The mean of the whole stays what it was. For an image this is OpenCV's INTER_AREA, as two fixed
    convolutions: from each run of `before` / r pixels come `after` / r, r being the greatest
    common divisor. `Resizing` does not export to ONNX with its anti-aliasing.

    Args:
        x: (N, before, before, 1).
        before: Side of it.
        after: Side of the result.
        name: Of the layers.
    """
    if before == after:
        return x
    runs = math.gcd(before, after)
    old, new = before // runs, after // runs
    edges = np.arange(new + 1) * old / new
    pixel = np.arange(old)[:, None]
    covered = np.minimum(pixel + 1, edges[1:]) - np.maximum(pixel, edges[:-1])
    kernel = (np.maximum(covered, 0) * new / old).astype(np.float32)
    for side in ("width", "height"):
        mean = layers.Conv2D(
            new,
            (1, old),
            (1, old),
            use_bias=False,
            trainable=False,
            dtype="float32",
            name=f"{name}_{side}",
        )
        x = mean(x)
        mean.set_weights([kernel.reshape(1, old, 1, new)])
        x = layers.Reshape((-1, after, 1), name=f"{name}_{side}_joined")(x)
        x = layers.Permute((2, 1, 3), name=f"{name}_{side}_turned")(x)
    return x


def training_view(network: keras.Model) -> keras.Model:
    """The same weights with the two probabilities as the only outputs: what the loss sees."""
    return keras.Model(network.input, network.outputs[:2], name="training")


def combine(members: list[keras.Model]) -> keras.Model:
    """An ensemble as one graph: logits and activation maps averaged over the members.

    Args:
        members: Two or more networks of `build_network`, or of an earlier version of it, whose map
            has the cells of its own size. Where the first has the outputs of
            `trainer.model.ood.attach` too, the ensemble takes what those add.

    Returns:
        A model with the inputs and outputs of the first member.
    """
    image = keras.Input((INPUT_SIZE, INPUT_SIZE, 1), name="image")
    for number, member in enumerate(members, start=1):
        member.name = f"member_{number}"
    answers = [member(image) for member in members]
    # The first may have further heads, and `features` after its map: see trainer.model.ood.attach.
    extended = len(answers[0]) == 6
    maps = [answers[0][-2 if extended else -1], *(answer[-1] for answer in answers[1:])]
    side = INPUT_SIZE // CELL
    maps = [_by_area(each, each.shape[1], side, f"map_{n}") for n, each in enumerate(maps, start=1)]
    columns = [answers[0][3 if extended else 2], *(answer[2] for answer in answers[1:])]
    activation_map = layers.Average(name="activation_map")(maps)
    # The logit of pneumonia is the mean of its map.
    pneumonia = layers.GlobalAveragePooling2D(name="pneumonia_logit")(activation_map)
    virals = [_pick(each, [1], f"viral_logit_of_{n}") for n, each in enumerate(columns, start=1)]
    viral = layers.Average(name="viral_logit")(virals)
    logits = [pneumonia, viral]
    outputs = [
        layers.Activation("sigmoid", name="pneumonia")(pneumonia),
        layers.Activation("sigmoid", name="viral")(viral),
    ]
    if extended:
        logits.append(_pick(columns[0], list(range(2, columns[0].shape[-1])), "further_logits"))
        outputs.append(answers[0][2])
    outputs += [layers.Concatenate(name="logits")(logits), activation_map]
    if extended:
        outputs.append(answers[0][-1])
    return keras.Model(image, outputs, name="ensemble")


def _pick(columns: Any, wanted: list[int], name: str) -> Any:
    """Some of the columns, by a fixed kernel: built-in layers do not slice."""
    pick = layers.Dense(len(wanted), use_bias=False, trainable=False, name=name)
    picked = pick(columns)
    kernel = np.zeros((columns.shape[-1], len(wanted)), np.float32)
    kernel[wanted, range(len(wanted))] = 1
    pick.set_weights([kernel])
    return picked


def members_of(model: keras.Model) -> list[keras.Model]:
    """The networks inside an ensemble; a single network is its own only member."""
    return [layer for layer in model.layers if layer.name.startswith("member_")] or [model]


def multiply_adds(model: keras.Model) -> int:
    """Multiplications with an addition for one image, in convolutions and dense layers."""
    total = 0
    for layer in model.layers:
        if isinstance(layer, layers.Conv2D):
            _, height, width, _ = layer.output.shape
            total += height * width * math.prod(layer.kernel.shape)
        elif isinstance(layer, layers.Dense):
            total += math.prod(layer.kernel.shape)
        elif isinstance(layer, keras.Model):
            total += multiply_adds(layer)
    return total


def _residual(x: Any, width: int, stride: int, normalisation: Normalisation, name: str) -> Any:
    y = _convolution(x, width, 3, stride, normalisation, f"{name}_a")
    y = layers.Activation("relu", name=f"{name}_a_relu")(y)
    y = _convolution(y, width, 3, 1, normalisation, f"{name}_b")
    shortcut = x
    if stride > 1:
        shortcut = layers.AveragePooling2D(stride, padding="same", name=f"{name}_pool")(shortcut)
    if x.shape[-1] != width:
        shortcut = _convolution(shortcut, width, 1, 1, normalisation, f"{name}_shortcut")
    y = layers.Add(name=f"{name}_add")([y, shortcut])
    return layers.Activation("relu", name=f"{name}_relu")(y)


def _convolution(
    x: Any, width: int, size: int, stride: int, normalisation: Normalisation, name: str
) -> Any:
    x = layers.Conv2D(
        width,
        size,
        stride,
        padding="same",
        use_bias=False,
        kernel_initializer="he_normal",
        name=name,
    )(x)
    return normalisation(name=f"{name}_norm")(x)

"""Whom the network may judge: it refuses pictures that are no chest X-ray, and knows chest X-rays
unlike those that it learned from.

Three answers beside the one about pneumonia, all from the maps of the trained network, which stays
as it is:

- `chest_xray`: a small head, fitted against the pictures of `trainer.data.other_images`.
- `features`: the pooled features, whitened, so that their length is the Mahalanobis distance from
  all training images (one Gaussian whatever the class: Kamoi & Kobayashi, "Why is the Mahalanobis
  Distance Effective for Anomaly Detection?", 2020). It knows what lies far out without having seen
  it, but an adult's chest does not lie far out.
- `familiar`: a second answer of that head, fitted against chest X-rays that must not be judged
  (outlier exposure: Hendrycks, Mazeika & Dietterich, ICLR 2019), where a folder of them is given.
  All are shown in many styles, so that it learns anatomy and not whose machine it was.

The limits come from held-out chest X-rays alone: the share of them that is refused or flagged is
what is promised.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import keras
import numpy as np
from keras import layers
from numpy.typing import NDArray
from sklearn.covariance import LedoitWolf

from trainer.config.recipe import Recipe
from trainer.data.dataset import Split
from trainer.data.other_images import not_chest
from trainer.data.restyling import misplaced, restyled
from trainer.model.inference import run_keras
from trainer.model.network import combine, members_of

Grey = NDArray[np.uint8]
Floats = NDArray[np.float32]
Said = tuple[float, float]

REFUSED_SHARE = 0.0025  # of held-out chest X-rays
UNFAMILIAR_SHARE = 0.0075  # of held-out chest X-rays
WHITENED = 2500  # images, at most: far more than there are features
USUAL_SPREAD = 0.98  # quantile whose distance from the median is one unit of a score
LEARNED = 2.0  # what one unit of the head counts for, beside one of the distance
YES, NO, UNASKED = (1.0, 1.0), (0.0, 1.0), (0.0, 0.0)  # target and weight


def fit_refusal(
    model: keras.Model,
    train: Split,
    held_out: Split,
    recipe: Recipe,
    seed: int = 0,
    images: int = 8000,
    epochs: int = 12,
    unlike: Grey | None = None,
) -> tuple[keras.Model, dict[str, Any], dict[str, Any]]:
    """Add what knows whom to judge to a trained network.

    Args:
        model: From `build_network` or `combine`; an ensemble gets it from its first member.
        train: Images to fit on.
        held_out: Images of other patients, for the two limits. A network that has learned from
            them too knows them a little better than it will know others.
        recipe: Depth of the network.
        seed: Of the pictures, the views and the head.
        images: Views of chest X-rays to fit the head on; half as many pictures of other things.
        epochs: Passes of the head over them.
        unlike: (M, 224, 224) uint8, chest X-rays that the network must not judge, such as adults';
            None: there is no head `familiar`, and the distance alone tells.

    Returns:
        The model with the outputs [pneumonia, viral, chest_xray, logits (N, 3; with `familiar` 4),
        activation_map, features], and the manifest's `refusal` and `unfamiliar` entries.
    """
    members = members_of(model)
    network, rng = members[0], np.random.default_rng([seed, 2])
    keras.utils.set_random_seed(seed)
    trunk = keras.Model(network.input, _maps(network, recipe))
    head = _build_head(trunk, familiar=unlike is not None)
    _fit_head(head, trunk, _lessons(train.images, unlike, images, rng), epochs)
    known = train.images[:: -(-len(train) // WHITENED)]
    extended = attach(network, head, known, recipe)
    refusal, unfamiliar = _limits(extended, held_out.images)
    if len(members) > 1:
        return combine([extended, *members[1:]]), refusal, unfamiliar
    return extended, refusal, unfamiliar


def _lessons(
    known: Grey, unlike: Grey | None, images: int, rng: np.random.Generator
) -> Iterator[tuple[Grey, Said, Said]]:
    """Views, and for both answers a target and whether it counts: chest X-rays as they are and in
    any style; then what they are to be told from."""
    styles = known
    if unlike is not None:
        styles = np.concatenate([_drawn(known, 2 * len(unlike), rng), unlike])
    half = images // 2
    yield _drawn(known, half, rng), YES, YES
    yield restyled(_drawn(known, half, rng), styles, rng), YES, YES
    yield not_chest(half, known, rng), NO, NO
    if unlike is None:
        return
    yield _drawn(unlike, half // 3, rng), YES, NO
    yield restyled(_drawn(unlike, half, rng), styles, rng), YES, NO
    for source in (known, unlike):
        yield misplaced(_drawn(source, half // 8, rng), rng), UNASKED, NO


def _drawn(images: Grey, count: int, rng: np.random.Generator) -> Grey:
    """So many of the images, each as often as the others, give or take one."""
    rounds = max(1, -(-count // len(images)))
    order = np.concatenate([rng.permutation(len(images)) for _ in range(rounds)])
    return np.asarray(images[order[:count]], np.uint8)


def _maps(network: keras.Model, recipe: Recipe) -> Any:
    """What the head sees: early maps, which still tell textures and edges of any kind of picture,
    beside later ones, on the same cells."""
    fine, coarse = (
        network.get_layer(f"stage{stage}_block{recipe.depth}_relu").output for stage in (2, 3)
    )
    return layers.Concatenate()([layers.AveragePooling2D(2, padding="same")(fine), coarse])


def _build_head(trunk: keras.Model, familiar: bool) -> keras.Model:
    """Two convolutions and a dense layer over the whole field: a thorax is an arrangement, not a
    texture."""
    maps = keras.Input(trunk.outputs[0].shape[1:])
    x = maps
    for width in (32, 32):
        x = layers.Conv2D(width, 3, 2, padding="same", use_bias=False)(x)
        x = layers.BatchNormalization(momentum=0.9)(x)
        x = layers.Activation("relu")(x)
    x = layers.Dropout(0.3)(layers.Flatten()(x))
    names = ("chest_xray", "familiar") if familiar else ("chest_xray",)
    answers = [layers.Dense(1, name=f"{name}_answer")(x) for name in names]
    return keras.Model(maps, answers, name="whom_to_judge")


def _fit_head(
    head: keras.Model, trunk: keras.Model, lessons: Iterable[tuple[Grey, Said, Said]], epochs: int
) -> None:
    batch = 128
    seen: list[NDArray[np.float16]] = []
    said: list[Floats] = []
    for views, *answers in lessons:
        if len(views):  # or so few were asked for
            [found] = run_keras(trunk, views)
            seen.append(found.astype(np.float16))  # half the memory; the head reads it as float32
            said.append(np.tile(np.array(answers, np.float32), (len(views), 1, 1)))
    maps, taught = np.concatenate(seen), np.concatenate(said)
    steps = epochs * -(-len(maps) // batch)
    head.compile(
        keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(3e-3, steps)),
        [
            keras.losses.BinaryCrossentropy(from_logits=True, label_smoothing=0.02)
            for _ in head.outputs
        ],
    )
    head.fit(
        maps,
        [taught[:, index, :1] for index in range(len(head.outputs))],
        sample_weight=[taught[:, index, 1] for index in range(len(head.outputs))],
        batch_size=batch,
        epochs=epochs,
        verbose=0,
    )


def attach(network: keras.Model, head: keras.Model, images: Grey, recipe: Recipe) -> keras.Model:
    """The network, the head and the whitened features as one graph.

    Args:
        head: From the maps of the network to the logits `chest_xray` and, maybe, `familiar`.
        images: (N, 224, 224) uint8, training images, whose features become white.
        recipe: Depth of the network.
    """
    pooled = network.get_layer("pooled").output
    answers = head(_maps(network, recipe))
    answers = list(answers) if isinstance(answers, list | tuple) else [answers]
    [known] = run_keras(keras.Model(network.input, [pooled]), images)
    whiten = layers.Dense(known.shape[1], name="features", trainable=False)
    features = whiten(pooled)
    whiten.set_weights(_whitening(known))
    pneumonia, viral, _, activation_map = network.outputs
    logits = [network.get_layer(f"{name}_logit").output for name in ("pneumonia", "viral")]
    return keras.Model(
        network.input,
        [
            pneumonia,
            viral,
            layers.Activation("sigmoid", name="chest_xray")(answers[0]),
            layers.Concatenate(name="logits")([*logits, *answers]),
            activation_map,
            features,
        ],
        name="network",
    )


def _whitening(known: Floats) -> list[Floats]:
    """Kernel (F, F) and bias (F,) after which the known features have mean 0 and covariance 1.

    The covariance is shrunk (Ledoit & Wolf, J. Multivariate Analysis, 2004), so that it can be
    inverted.
    """
    estimate = LedoitWolf().fit(known.astype(np.float64))
    values, vectors = np.linalg.eigh(estimate.covariance_)
    kernel = vectors / np.sqrt(np.maximum(values, 1e-9))
    return [kernel.astype(np.float32), (-estimate.location_ @ kernel).astype(np.float32)]


def _limits(model: keras.Model, images: Grey) -> tuple[dict[str, Any], dict[str, Any]]:
    """The two limits, from held-out chest X-rays only."""
    *_, logits, _, features = run_keras(model, images)
    refusal = {
        "minimum": float(np.quantile(logits[:, 2], REFUSED_SHARE)),
        "rule": f"refuses {REFUSED_SHARE:.2%} of held-out chest X-rays",
    }
    distance = np.sqrt(np.mean(np.square(features), axis=1))
    strangeness, weight = distance, 0.0
    rule = f"flags {UNFAMILIAR_SHARE:.2%} of held-out chest X-rays; Mahalanobis distance"
    if logits.shape[1] > 3:
        # Both in units of their own spread among the known.
        weight = LEARNED * _spread(distance) / _spread(-logits[:, 3])
        strangeness = distance - weight * logits[:, 3]
        rule += " less weighted logit of the head that learned from others' X-rays"
    limit = float(np.quantile(strangeness, 1 - UNFAMILIAR_SHARE))
    return refusal, {"maximum": limit, "weight": weight, "rule": rule}


def _spread(scores: Floats) -> float:
    usual, far = np.quantile(scores, (0.5, USUAL_SPREAD))
    return max(float(far - usual), 1e-6)

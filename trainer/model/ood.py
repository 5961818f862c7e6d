"""What the network must not judge: pictures that are no chest X-ray, and chest X-rays unlike those
it learned from.

Two different questions get two different means. "Is this a chest X-ray at all?" is a small head on
the maps of the trained network, fitted against `trainer.data.other_images` while the
network itself stays as it is, so the answer about pneumonia does not change. "Is it like the ones I
know?" is the Mahalanobis distance of the pooled features from those of all training images (one
Gaussian whatever the class: Kamoi & Kobayashi, "Why is the Mahalanobis Distance Effective for
Anomaly Detection?", 2020); the whitening that makes it a plain length is the last layer of the
graph.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import keras
import numpy as np
from keras import layers
from numpy.typing import NDArray
from sklearn.covariance import LedoitWolf

from trainer.config.recipe import Recipe
from trainer.data.augmentation import augment
from trainer.data.dataset import Split
from trainer.data.other_images import not_chest
from trainer.model.inference import run_keras
from trainer.model.network import combine, members_of

Grey = NDArray[np.uint8]
Floats = NDArray[np.float32]

REFUSED_SHARE = 0.002  # of held-out chest X-rays, as they are and in hard views
UNFAMILIAR_SHARE = 0.01  # of held-out chest X-rays


def fit_refusal(
    model: keras.Model,
    train: Split,
    validation: Split,
    recipe: Recipe,
    seed: int = 0,
    images: int = 8000,
    epochs: int = 20,
) -> tuple[keras.Model, dict[str, Any], dict[str, Any]]:
    """Add the head that knows chest X-rays, and the whitened features, to a trained network.

    Args:
        model: From `build_network` or `combine`; an ensemble gets both from its first member.
        train: Images to fit on.
        validation: Images of other patients, for the two limits.
        recipe: Depth of the network and strength of the augmentation.
        seed: Of the pictures, the views and the head.
        images: Chest X-ray views to fit the head on; as many pictures of other things.
        epochs: Passes of the head over them.

    Returns:
        The model with the outputs [pneumonia, viral, chest_xray, logits (N, 3), activation_map,
        features], and the manifest's `refusal` and `unfamiliar` entries.
    """
    members = members_of(model)
    network, rng = members[0], np.random.default_rng([seed, 2])
    keras.utils.set_random_seed(seed)
    trunk = keras.Model(network.input, _maps(network, recipe))
    hard = _hard_views(recipe)
    xrays = train.images[rng.integers(len(train), size=images)]
    usual, unusual = np.array_split(xrays, 2)
    views = np.concatenate([augment(usual, rng, recipe), augment(unusual, rng, hard)])
    pictures = not_chest(images, train.images, rng)

    head = _build_head(trunk)
    head.compile(
        keras.optimizers.Adam(
            keras.optimizers.schedules.CosineDecay(2e-3, epochs * -(-2 * images // 64))
        ),
        keras.losses.BinaryCrossentropy(from_logits=True, label_smoothing=0.02),
    )
    target = np.repeat(np.array([[1], [0]], np.float32), (len(views), len(pictures)), axis=0)
    head.fit(
        run_keras(trunk, np.concatenate([views, pictures])),
        target,
        batch_size=64,
        epochs=epochs,
        verbose=0,
    )

    extended = attach(network, head, train.images, recipe)
    refusal, unfamiliar = _limits(extended, validation.images, hard, rng)
    if len(members) > 1:
        return combine([extended, *members[1:]]), refusal, unfamiliar
    return extended, refusal, unfamiliar


def attach(network: keras.Model, head: keras.Model, images: Grey, recipe: Recipe) -> keras.Model:
    """The network, the head and the whitened features as one graph.

    Args:
        network: From `build_network`.
        head: From the maps of the network to the logit of a chest X-ray.
        images: (N, 224, 224) uint8, training images, whose features become white.
        recipe: Depth of the network.
    """
    pooled = network.get_layer("pooled").output
    chest = head(_maps(network, recipe))
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
            layers.Activation("sigmoid", name="chest_xray")(chest),
            layers.Concatenate(name="logits")([*logits, chest]),
            activation_map,
            features,
        ],
        name="network",
    )


def _maps(network: keras.Model, recipe: Recipe) -> list[Any]:
    """What the head sees: early maps, which still tell textures and edges of any kind of
    picture."""
    return [network.get_layer(f"stage{stage}_block{recipe.depth}_relu").output for stage in (2, 3)]


def _build_head(trunk: keras.Model) -> keras.Model:
    """Two convolutions and a dense layer over the whole field: a thorax is an arrangement, not a
    texture."""
    fine, coarse = (keras.Input(output.shape[1:]) for output in trunk.outputs)
    x = layers.Concatenate()([layers.AveragePooling2D(2, padding="same")(fine), coarse])
    for width in (32, 32):
        x = layers.Conv2D(width, 3, 2, padding="same", use_bias=False)(x)
        x = layers.BatchNormalization(momentum=0.9)(x)
        x = layers.Activation("relu")(x)
    x = layers.Dropout(0.3)(layers.Flatten()(x))
    return keras.Model([fine, coarse], layers.Dense(1)(x), name="chest_xray_logit")


def _hard_views(recipe: Recipe) -> Recipe:
    """Chest X-rays of other rooms, ages and senders: further out, closer in, turned, darker,
    noisier."""
    return dataclasses.replace(
        recipe,
        rotation=15.0,
        zoom=0.35,
        aspect=0.25,
        shift=0.12,
        gamma=0.7,
        contrast=0.45,
        noise=0.08,
        frame=0.4,
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


def _limits(
    model: keras.Model, images: Grey, hard: Recipe, rng: np.random.Generator
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The two limits, from held-out chest X-rays only: what is refused by mistake is what is
    promised."""
    plain = run_keras(model, images)
    views = run_keras(model, augment(np.concatenate([images] * 4), rng, hard))
    chest = np.concatenate([plain[3][:, 2], views[3][:, 2]])
    distance = np.sqrt(np.mean(np.square(plain[5]), axis=1))
    refusal = {
        "minimum": float(np.quantile(chest, REFUSED_SHARE)),
        "rule": f"refuses {REFUSED_SHARE:.1%} of held-out chest X-rays and hard views of them",
    }
    unfamiliar = {
        "maximum": float(np.quantile(distance, 1 - UNFAMILIAR_SHARE)),
        "rule": f"flags {UNFAMILIAR_SHARE:.0%} of held-out chest X-rays; Mahalanobis distance",
    }
    return refusal, unfamiliar

"""Which training rows drive an answer: those whose gradients pull the way the answer's own would."""

from dataclasses import dataclass
from typing import final

import numpy as np
from scipy.spatial.distance import cdist

from untaint.errors import BadInput
from untaint.nets.row_gradients import LastLayer, alike, last_layer, row_gradients
from untaint.nets.subject import Inputs, Reference, Subject
from untaint.types import Rows

SHORTLIST = 300
"""Rows whose full gradients are compared: a second or two for small networks, and fifteen times as many as are shown."""


@final
@dataclass(frozen=True)
class Ranked:
    """Training rows, those that drive an answer most first. influence (m,): cosine of gradients, or of likeness.  how: in words."""

    rows: Rows
    influence: np.ndarray
    how: str


def drivers(subject: Subject, train: Reference, read: LastLayer, one: Inputs, label: int, most: int = 20) -> Ranked:
    """The rows that drive the answer `label` for one input (1, ...). read: what the last layer makes of the training rows.

    With gradients: a shortlist by the last layer's, in closed form, ranked by the mean over the layers of their cosines (of digits with
    a patch 88 % of the first 20 were poison, 69 % by one cosine over all weights). Of models of Keras by the last layer's
    cosine and those of what each layer gives. Of a black box: rows with the answer's label that look most like the input, which is a guess.
    Gradients are brought to one length: rows that a model has learned well have short ones, and poison is learned well.
    Reference: TracIn, Pruthi et al. 2020, arXiv 2002.08484, renormalised layer by layer as in Hammoudeh, Lowd 2022, arXiv 2201.10055
    """
    if not len(train.labels):
        raise BadInput("there are no training rows to look among.")
    if read.features is None:
        return _look_alikes(train, one, label, most)
    single = last_layer(subject, one)
    closed = alike(read, train.labels, single, label)
    order = np.argsort(-closed, kind="stable")[:SHORTLIST]
    if subject.module is None:
        likely = _by_layers(subject, train.inputs[order], one, closed[order])
        best = np.argsort(-likely, kind="stable")[:most]
        return Ranked(order[best], likely[best], f"gradients of the last layer and likeness in all, among {len(order)} rows")
    (target,) = row_gradients(subject.module, one, single.errors(np.array([label])), layerwise=True)
    errors = read.take(order).errors(train.labels[order])
    full = np.array([float(each @ target) for each in row_gradients(subject.module, train.inputs[order], errors, layerwise=True)])
    best = np.argsort(-full, kind="stable")[:most]
    return Ranked(order[best], full[best], f"gradients of all layers, among {len(order)} rows")


def _by_layers(subject: Subject, inputs: Inputs, one: Inputs, closed: np.ndarray) -> np.ndarray:
    """(m,) mean of the last layer's cosine and of those between what each layer watched gives for rows and for the input."""
    cosines = [closed]
    for rows, single in zip(subject.layers(inputs), subject.layers(one), strict=True):
        flat, other = rows.reshape(len(rows), -1), single.reshape(-1)
        cosines.append(flat @ other / np.maximum(np.linalg.norm(flat, axis=1) * np.linalg.norm(other), 1e-12))
    found: np.ndarray = np.mean(cosines, axis=0)
    return found


def _look_alikes(train: Reference, one: Inputs, label: int, most: int) -> Ranked:
    rows = np.flatnonzero(train.labels == label)
    if not len(rows):
        raise BadInput(f"no training row has the label {train.classes[label]!r} that the model answers.")
    flat = train.inputs[rows].reshape(len(rows), -1).astype(np.float64)
    near = cdist(one.reshape(1, -1).astype(np.float64), flat)[0]
    best = np.argsort(near, kind="stable")[:most]
    return Ranked(rows[best], 1 / (1 + near[best]), "likeness to the input: a black box shows no gradients")

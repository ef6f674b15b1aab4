"""Pairs of images: read from folders, by name, cut, and spoilt on purpose."""

from trustworthy.datasets.image_pairs import ImagePairs
from trustworthy.datasets.pairs.boxes import boxed, boxes
from trustworthy.datasets.pairs.cutting import patches, spatial_split
from trustworthy.datasets.pairs.files import read_pairs
from trustworthy.datasets.pairs.named import load_pairs
from trustworthy.datasets.pairs.pasting import paste

__all__ = ["ImagePairs", "boxed", "boxes", "load_pairs", "paste", "patches", "read_pairs", "spatial_split"]

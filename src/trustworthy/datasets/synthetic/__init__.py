"""Data that are drawn by a procedure, whose truth is known to the pixel."""

from trustworthy.datasets.synthetic.cells import cells
from trustworthy.datasets.synthetic.impurities import IMPURITIES
from trustworthy.datasets.synthetic.optics import Optics
from trustworthy.datasets.synthetic.shapes import COVERAGE, TYPES

__all__ = ["COVERAGE", "IMPURITIES", "TYPES", "Optics", "cells"]

"""Metrics under which nearest neighbours are accurate and robust (section 3.2): scikit-learn transformers, no torch."""

from trustworthy.metric_learning.arml import ARML
from trustworthy.metric_learning.itml import ITML
from trustworthy.metric_learning.lfda import LFDA
from trustworthy.metric_learning.lmnn import LMNN
from trustworthy.metric_learning.margin import triplet_margin
from trustworthy.metric_learning.nca import NCA

__all__ = ["ARML", "ITML", "LFDA", "LMNN", "NCA", "triplet_margin"]

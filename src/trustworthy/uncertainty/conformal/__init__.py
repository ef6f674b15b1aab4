"""Sets, intervals and maps that hold the truth as often as was asked for, whatever the model.

All are calibrated on rows that the model was not trained on, and promise something of new rows that are exchangeable
with these: drawn from the same distribution, in no order. After a shift nothing is promised.

calibrated = calibrate_sets(predict(model, x_held).probabilities, y_held, level=0.9)
calibrated(predict(model, x_new).probabilities).members
"""

from trustworthy.uncertainty.conformal.intervals import (
    CalibratedIntervals,
    CalibratedQuantiles,
    Intervals,
    calibrate_intervals,
    calibrate_quantiles,
)
from trustworthy.uncertainty.conformal.maps import CalibratedMaps, Maps, calibrate_maps
from trustworthy.uncertainty.conformal.sets import CalibratedSets, PredictionSets, calibrate_sets

__all__ = [
    "CalibratedIntervals",
    "CalibratedMaps",
    "CalibratedQuantiles",
    "CalibratedSets",
    "Intervals",
    "Maps",
    "PredictionSets",
    "calibrate_intervals",
    "calibrate_maps",
    "calibrate_quantiles",
    "calibrate_sets",
]

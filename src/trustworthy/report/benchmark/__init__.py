"""Which way of estimating uncertainty is worth its price: the study behind `trustworthy benchmark uncertainty`."""

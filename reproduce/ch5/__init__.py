"""Chapter 5: ensembles at the price of one model, on images translated to images and on classes."""

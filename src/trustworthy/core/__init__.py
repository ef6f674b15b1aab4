"""Values that every other package speaks in: norms, threat models, certificates, seeds, errors and checks."""

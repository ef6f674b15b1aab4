"""How few poisoned labels ruin a graph learner of a data set: `trustworthy poison` and a step of the audit.

None of it imports torch.
"""

"""What runs in the process of a job: training, prediction, and what is published of them; no Flask."""

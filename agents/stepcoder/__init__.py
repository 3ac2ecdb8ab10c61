"""StepCoder (arXiv 2402.01391): fine-grained optimisation masks, the curriculum of completion subtasks, the four-level reward."""

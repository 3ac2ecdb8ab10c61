"""How good, and how well feedback is used: metrics, feedback arms, the HTML report."""

"""Problems that are generated from a seed, without any download."""

"""Where untrusted code runs. The only package that touches the operating system."""

"""Thin adapters to other people's trainers."""

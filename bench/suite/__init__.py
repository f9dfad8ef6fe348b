"""Limosa against other engines over many models; see docs/benchmarks.md."""

"""Reads a model in onnx.parser's text (lines of a .test file after "| ") and saves it."""

import sys

import onnx
import onnx.parser

source, path = sys.argv[1:]
with open(source, encoding="utf-8") as lines:
    text = "".join(line[2:] for line in lines if line.startswith("| "))
onnx.save(onnx.parser.parse_model(text), path)

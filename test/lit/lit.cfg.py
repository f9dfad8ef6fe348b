"""lit's configuration: limosa, limosa-opt, FileCheck and not are on the PATH."""

import os

import lit.formats

config.name = "limosa"
config.test_format = lit.formats.ShTest(execute_external=False)
config.suffixes = [".mlir", ".test"]
config.excludes = ["Inputs", "CMakeLists.txt"]
config.test_source_root = os.path.dirname(__file__)
config.test_exec_root = os.path.join(config.limosa_build, "test", "lit")
config.environment["PATH"] = os.pathsep.join(
    [config.limosa_tools, config.llvm_tools, config.environment.get("PATH", "")])
# A cache of its own: a test never sees what an earlier build compiled.
config.environment["LIMOSA_CACHE_DIR"] = os.path.join(config.test_exec_root, "cache")
config.substitutions.append(("%python", config.limosa_python or "python3"))
config.substitutions.append(("%source", os.path.dirname(os.path.dirname(config.test_source_root))))

for tool in ("limosa", "limosa-opt"):
    if os.path.exists(os.path.join(config.limosa_tools, tool)):
        config.available_features.add(tool)

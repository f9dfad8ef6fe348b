//===- Inputs.h - What a model is fed with ----------------------*- C++ -*-===//

#ifndef LIMOSA_TOOLS_INPUTS_H
#define LIMOSA_TOOLS_INPUTS_H

#include "Session.h"

namespace limosa::tool {

/// Where the values of inputs come from.
struct InputOptions {
  std::vector<std::string> Inputs; ///< "x=file.npy", "file.npz", "x=random"
  std::vector<std::string> Sizes;  ///< "batch=4"
  uint64_t Seed = 0;

  void addTo(CLI::App &Command);
};

/// Makes all inputs of a session, in its order. Files are read first and tell
/// sizes; what is still unknown comes from --size, else is assumed, which
/// `Assumed` lists as "batch=1". Random floats are normal, random integers 0
/// or 1, which every model takes as token, mask or type.
Status makeInputs(const InputOptions &Options,
                  const std::vector<ArgumentInfo> &Arguments,
                  std::vector<NamedTensor> &Values,
                  std::vector<std::string> &Assumed);

/// A run's error, with the sizes that were assumed: they may be what is wrong.
Status blameSizes(Status S, const std::vector<std::string> &Assumed);

/// Random values of a type and shape: "random" or "random:LOW:HIGH".
Status randomTensor(DType Type, const std::vector<int64_t> &Dims,
                    const std::string &Spec, uint64_t Seed, HostTensor &Out);

} // namespace limosa::tool

#endif // LIMOSA_TOOLS_INPUTS_H

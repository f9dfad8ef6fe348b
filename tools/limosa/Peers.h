//===- Peers.h - Other engines, each in a helper process --------*- C++ -*-===//
//
// The helper is python/limosa/bench_peers.py. It is told on its standard input
// how often to run and answers each line with one line of JSON, so that rounds
// of several engines interleave and no engine's threads stand beside another's.
//
//===----------------------------------------------------------------------===//

#ifndef LIMOSA_TOOLS_PEERS_H
#define LIMOSA_TOOLS_PEERS_H

#include "HostTensor.h"
#include "limosa/Runtime/Status.h"

#include <cstdio>
#include <sys/types.h>

namespace limosa::tool {

using runtime::Status;

/// A running helper. Ends with the object.
class Peer {
public:
  ~Peer();
  Peer(const Peer &) = delete;
  Peer &operator=(const Peer &) = delete;

  /// Starts `Name` with the .onnx model and the inputs kept in a .npz file; its
  /// outputs are written to `OutputPath` at the end of the first run.
  /// `Precision` is "f32" or "bf16"; engines that lack it say so.
  static Status start(const std::string &Name, const std::string &ModelPath,
                      const std::string &Precision, unsigned Threads,
                      const std::string &InputPath,
                      const std::string &OutputPath,
                      std::unique_ptr<Peer> &Out);

  const std::string &name() const { return Name; }
  const std::string &version() const { return Version; }
  /// Runs `Count` times and appends the seconds of each.
  Status run(unsigned Count, std::vector<double> &Seconds);

private:
  Peer() = default;
  Status receive(std::string &Line);

  std::string Name, Version;
  pid_t Process = -1;
  FILE *ToPeer = nullptr, *FromPeer = nullptr;
};

/// The engines there are, with their versions; "" for those not installed.
std::vector<std::pair<std::string, std::string>> peerVersions();

} // namespace limosa::tool

#endif // LIMOSA_TOOLS_PEERS_H
